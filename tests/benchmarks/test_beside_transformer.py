"""A recurrent model beside a Transformer in CTranslate2: the tables, the protocol, and the conversion."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from beside_transformer.measured import DECODERS
from beside_transformer.worker import Ours, answer
from places import ROOT, TINY
from redraw import tables_of
from report.markdown import README, has_place

PYTHON = ROOT / ".venv-bench-transformer" / "bin" / "python"


def results() -> dict[str, Any]:
    """Two rounds; CTranslate2 takes twice as long as the runtime in each, with int8 half as long."""
    models = {
        name: {"parameters": 1234567, "epochs": 5, "megabytes": {"float32": 5.0, "int8": 1.5}} for name in ("a", "b")
    }
    times = [
        {"decoder": name, "batch": batch, "beam": beam, "words": 100, "seconds": seconds * turn, "threads": "1 thread"}
        for turn in (1, 3)
        for batch in (1, 32, 256)
        for beam in (1, 5)
        for name, seconds in zip(DECODERS, (0.1, 0.1, 0.2, 0.05), strict=True)
    ]
    return {
        "beside_transformer": True,
        "date": "today",
        "cpu": "a CPU",
        "cores": 2,
        "versions": {"ctranslate2": "1.0"},
        "compared": {"words": 500, "near_ties": 1},
        "models": {
            name: one | {"minutes": 20.0, "processor_minutes": 19.0}
            for name, one in zip(("recurrent", "transformer"), models.values(), strict=True)
        },
        "rates": [{"decoder": name, "beam": 1, "words": 900, "WER": 31.5, "PER": 8.25} for name in DECODERS],
        "times": times,
    }


def test_tables_have_their_places_and_take_ratios_of_a_round() -> None:
    """However slow a round was, twice as long is twice as long; what wasn't measured stays blank."""
    made = tables_of(results())
    assert has_place(README, made)
    assert "| float32, greedy | 2.00 (2.00 to 2.00) |" in made["transformer-ratios"]
    assert "| int8, beam 5 | 0.50 (0.50 to 0.50) |" in made["transformer-ratios"]
    assert (
        "| recurrent, s2s_runtime, float32, greedy | 31.50 | 8.25 | 2.00 (1.50 to 2.50) |" in made["transformer-times"]
    )
    assert "| recurrent, s2s_runtime, float32, beam 5 |  |  | 2.00 (1.50 to 2.50) |" in made["transformer-times"]
    assert "| parameters | 1,234,567 | 1,234,567 |" in made["transformer-models"]
    assert "900 held-out words" in made["transformer-setting"]


def test_a_batch_size_changes_no_text() -> None:
    """A worker decodes all words it is given, in their order, however many a call."""
    ours = Ours(TINY, 1)
    found = [
        answer(ours, {"words": ["ab", "b", "abc"], "batch": batch, "beam": 1, "repeats": 2}) for batch in (1, 2, 3)
    ]
    assert [len(each["seconds"]) for each in found] == [2, 2, 2]
    assert len({tuple(each["texts"]) for each in found}) == 1
    assert len(found[0]["texts"]) == 3


def test_a_converted_transformer_says_what_pytorch_says() -> None:
    """Of random weights, in the environment that `make bench-transformer` makes."""
    if not PYTHON.exists():
        pytest.skip(
            f"{PYTHON.parents[1].name}, with PyTorch and CTranslate2, isn't there: make bench-transformer makes it"
        )
    command = [str(PYTHON), str(Path(__file__).with_name("convert_random_transformer.py"))]
    subprocess.run(command, check=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT / "benchmarks")})

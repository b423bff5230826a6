"""Errors of single sources: raised, or in the place of their results while the others are decoded."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s2s_runtime import Decoder, InputError, Model, OptionError, UnknownSymbolError

LIST = ["abc", "X", "de", None, "abcdeabcde", "", b"ab", [2, 99], [2, 3]]
GOOD = [0, 2, 5, 8]


@pytest.mark.parametrize(
    "options",
    [{}, {"beam_size": 2}, {"return_alternatives": True, "num_hypotheses": 2}, {"max_batch_size": 1}],
    ids=str,
)
def test_errors_stand_in_the_place_of_results(tiny: Model, options: dict[str, Any]) -> None:
    """The others are what they are without them; each error says which source, also of windows read ahead."""
    expected = tiny.generate([LIST[i] for i in GOOD], **options)  # type: ignore[misc]
    options |= {"on_error": "return", "max_source_length": 8}
    lists = [tiny.generate(LIST, **options)]  # type: ignore[arg-type]
    if "return_alternatives" not in options:
        lists.append(list(tiny.generate_iter(LIST, read_ahead=2, **options)))  # type: ignore[arg-type, assignment]
    for results in lists:
        assert len(results) == len(LIST)
        assert [results[i] for i in GOOD] == expected
        assert [results[i].error for i in GOOD] == [None] * len(GOOD)
        for i in set(range(len(LIST))) - set(GOOD):
            error = results[i].error
            assert isinstance(error, InputError | UnknownSymbolError)
            assert error.place == i
            assert (results[i].text, results[i].hypotheses[0].finish_reason) == ("", "error")
            assert results[i].to_dict()["error"] == str(error)
            assert pickle.loads(pickle.dumps(results[i])).text == ""


def test_they_are_raised_unless_asked_otherwise(tiny: Model) -> None:
    """By default nothing is decoded then."""
    with pytest.raises(UnknownSymbolError):
        tiny.generate(LIST)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="on_error: expected 'raise' or 'return', got 'ignore'"):
        tiny.generate(["abc"], on_error="ignore")  # type: ignore[arg-type]
    for call in (lambda: tiny.stream("abc", on_error="return"), lambda: Decoder(tiny, on_error="return")):
        with pytest.raises(OptionError, match="on_error: expected raise for"):
            call()


def test_too_long_a_source_is_an_error(tiny: Model, tmp_path: Path) -> None:
    """By every verb, counting what the model reads; one that is as long as it may be isn't."""
    message = r"inputs\[0\]: expected at most max_source_length = 4 tokens, got 5; shorten it, or give on_long="
    for given in (["abcd"], [[2, 3, 4, 5, 6]]):  # a text has an end symbol
        with pytest.raises(InputError, match=message):
            tiny.generate(given, max_source_length=4)
        with pytest.raises(InputError, match=message):
            list(tiny.generate_iter(given, max_source_length=4))
    with pytest.raises(InputError, match=message):
        tiny.stream("abcd", max_source_length=4)
    with Decoder(tiny, max_source_length=4) as decoder, pytest.raises(InputError, match=message):
        decoder.submit("abcd")
    assert tiny.generate(["abc"], max_source_length=4) == tiny.generate(["abc"])
    (tmp_path / "in").write_text("abcd\n")
    with pytest.raises(InputError, match="max_source_length = 4"):
        tiny.generate_file(tmp_path / "in", tmp_path / "out", max_source_length=4)
    with pytest.raises(OptionError, match="on_error: expected 'raise' for generate_file"):
        tiny.generate_file(tmp_path / "in", tmp_path / "out", on_error="return")
    with pytest.raises(OptionError, match="max_source_length: expected an integer of at least 1"):
        tiny.generate(["abc"], max_source_length=0)


def test_arrays_of_ids_are_measured_too(tiny_onehot: Model) -> None:
    """Those that are checked all at once."""
    with pytest.raises(InputError, match="max_source_length = 2"):
        tiny_onehot.generate(np.zeros((2, 3), np.int64), max_source_length=2)

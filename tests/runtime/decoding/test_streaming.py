"""The pieces of a stream are the text that `generate` gives, however the sequence ends."""

from __future__ import annotations

from typing import Any

import pytest
from places import FIXTURES

import s2s_runtime
from s2s_runtime import Model, OptionError


@pytest.mark.parametrize(
    "end",
    [{"no_repeat_ngram_size": 1}, {"allowed_next": lambda step, _: [3] * (step < 4)}],
    ids=["no_repeat_ngram_size", "allowed_next"],
)
def test_nothing_is_written_where_no_token_may_follow(end: dict[str, Any]) -> None:
    """What is chosen where all is masked doesn't count, in pieces as in results."""
    model = s2s_runtime.load(FIXTURES / "tiny-none.s2s")
    for source in ("83", "+0", "7", "829+1"):
        [result] = model.generate([source], max_length=32, **end)
        assert result.hypotheses[0].finish_reason == "stopped"
        assert "".join(model.stream(source, max_length=32, **end)) == result.text


def test_pieces_come_as_they_are_written(tiny: Model) -> None:
    """One a token, those of a source in parts too; what joins two parts comes with the second."""
    assert list(tiny.stream("abcde", end_tokens=[], max_length=3)) == list(
        tiny.generate(["abcde"], end_tokens=[], max_length=3)[0].text
    )
    given: dict[str, Any] = {"max_source_length": 4, "on_long": "split", "unknown_symbols": "skip", "max_length": 2}
    pieces = list(tiny.stream("abc dea", **given))
    assert "".join(pieces) == tiny.generate(["abc dea"], **given)[0].text
    assert [len(piece.strip()) for piece in pieces] == [1, 1, 1, 1][: len(pieces)]
    assert [piece[0] for piece in pieces].count(" ") == 1


def test_an_engine_that_cannot_do_it_is_refused_before_anything_runs(tiny: Model) -> None:
    """Also where there is nothing to decode: an error of the options doesn't wait for a source with tokens."""
    for sources in ([], [""], ["ab"]):
        with pytest.raises(OptionError, match="engine: 'graph' can't do what was asked for"):
            tiny.generate(sources, engine="graph", no_repeat_ngram_size=2)

"""Options are made ready once; a call never sees those of another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from s2s_runtime import Model, OptionError
from s2s_runtime.decoding.last_options import LastDecoding, options_key

SAME: list[dict[str, Any]] = [{}, {"beam_size": 2}, {"end_tokens": [1, "a"]}, {"max_length_ratio": (1.5, 2)}]
DIFFERENT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"beam_size": 1}),
    ({"beam_size": 2}, {"num_hypotheses": 2}),
    ({"beam_size": 1}, {"beam_size": True}),
    ({"beam_size": 1}, {"beam_size": 1.0}),
    ({"end_tokens": [1]}, {"end_tokens": [1.0]}),
    ({"end_tokens": [1]}, {"end_tokens": (1,)}),
    ({"end_tokens": None}, {"end_tokens": []}),
]
UNKNOWABLE: list[Any] = [lambda tokens, ids: ids, [["a", "b"]], np.array([1, 2]), {"a": "b"}, list(range(65))]


@pytest.mark.parametrize("options", SAME)
def test_the_same_options_have_the_same_key(options: dict[str, Any]) -> None:
    """Whatever holds them."""
    assert options_key(options) == options_key({name: _copied(value) for name, value in options.items()})
    assert options_key(options) is not None


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_options_have_another_key(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Values that are equal and of different types too: one of them may be an error."""
    assert options_key(one) != options_key(other)


@pytest.mark.parametrize("value", UNKNOWABLE)
def test_what_could_change_has_no_key(value: Any) -> None:
    """It is made ready each time."""
    assert options_key({"beam_size": 2, "given": value}) is None


def test_made_once_for_calls_alike() -> None:
    """And again for others, and whenever there is no key."""
    last, made = LastDecoding(), []

    def make(options: Any) -> Any:
        made.append(len(made))
        return made[-1]

    calls = ({"a": 1}, {"a": 1}, {"a": 2}, {"a": 2}, {"a": 1}, {"f": make}, {"f": make})
    assert [last.get(call, make) for call in calls] == [0, 0, 1, 1, 2, 3, 4]


def test_a_list_that_changed_between_two_calls_counts_as_it_is(tiny: Model) -> None:
    """The caller's list is read at each call."""
    suppressed = list(tiny.generate(["abc"])[0].tokens[:1])
    free = tiny.generate(["abc"], suppress_tokens=[])[0].ids
    options: list[Any] = []
    assert tiny.generate(["abc"], suppress_tokens=options)[0].ids == free
    options += suppressed
    changed = tiny.generate(["abc"], suppress_tokens=options)[0]
    assert changed.tokens[:1] != suppressed
    assert changed.ids == tiny.generate(["abc"], suppress_tokens=tuple(suppressed))[0].ids


def test_a_prefix_that_changed_is_read_again(tiny: Model) -> None:
    """It goes with the inputs of one call."""
    prefix = ["A"]
    first = tiny.generate(["abc"], prefix=prefix)[0].ids
    prefix[0] = "B"
    assert tiny.generate(["abc"], prefix=["A"])[0].ids == first
    assert tiny.generate(["abc"], prefix=prefix)[0].ids != first


def test_an_error_is_one_each_time(tiny: Model) -> None:
    """Nothing is kept of options that were refused, and right ones work after them."""
    expected = tiny.generate(["abc"], beam_size=1)[0].ids
    for _ in range(2):
        with pytest.raises(OptionError, match="beam_size"):
            tiny.generate(["abc"], beam_size=True)
        assert tiny.generate(["abc"], beam_size=1)[0].ids == expected


def _copied(value: Any) -> Any:
    return type(value)(value) if isinstance(value, list | tuple) else value

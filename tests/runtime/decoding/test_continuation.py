"""States taken out and given back: encode once, decode from there, go on later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import s2s_runtime
from s2s_runtime import DecoderState, InputError, Model, OptionError, ensemble

SOURCES = ["abcab", "edc", "a"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beam_size": 3, "num_hypotheses": 3, "coverage_penalty": 0.2},
        {"sampling_temperature": 2.0, "seed": 3, "num_hypotheses": 2, "engine": "steps"},  # their scores are rounded so
        {"return_attention": True, "return_token_scores": True},
        {"prefix": ["B", None, [4]]},
        {"max_length_ratio": 0.5},
    ],
)
def test_decoding_from_an_encoded_source_is_decoding_it(tiny: Model, options: dict[str, Any]) -> None:
    """generate_from(encode(sources)) = generate(sources), with every kind of search; a state serves many times."""
    state = tiny.encode(SOURCES)
    expected = [result.to_dict() for result in tiny.generate(SOURCES, **options)]
    for _ in range(2):
        assert [result.to_dict() for result in tiny.generate_from(state, **options)] == expected
    [alone] = tiny.generate_from(
        state.select([1]), **{**options, **({"prefix": [None]} if "prefix" in options else {})}
    )
    assert alone.ids == expected[1]["hypotheses"][0]["ids"]  # type: ignore[index]


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_going_on_is_not_having_stopped(tiny: Model, tiny_onehot: Model, cut: int) -> None:
    """The first tokens, the state after them, and decoding on from there give the whole sequence."""
    for model, sources in ((tiny, SOURCES), (tiny_onehot, ["abcd", "d", "ca"])):
        whole = [result.ids for result in model.generate(sources)]
        begun = [ids[:cut] for ids in whole]
        state = model.advance(model.encode(sources), begun)
        rest = [result.ids for result in model.generate_from(state)]
        assert [one + two for one, two in zip(begun, rest, strict=True)] == whole


def test_advancing_twice_is_advancing_once(tiny: Model) -> None:
    """Tokens may be given in parts, of different lengths per row, as text or ids."""
    start = tiny.encode(SOURCES)
    parts = tiny.advance(tiny.advance(start, ["AB", "", "C"]), ["C", "DE", []])
    once = tiny.advance(start, ["ABC", [6, 7], "C"])
    np.testing.assert_array_equal(parts.fed, once.fed)
    for name, array in parts.arrays.items():
        np.testing.assert_allclose(array, once.arrays[name], atol=1e-6)


def test_a_state_is_plain_arrays(tiny: Model, tmp_path: Path) -> None:
    """It can be written to a file and read in another process; selecting rows repeats them."""
    state = tiny.encode(SOURCES)
    np.savez(tmp_path / "state.npz", **state.arrays)
    with np.load(tmp_path / "state.npz") as arrays:
        read = DecoderState(dict(arrays), state.fed, state.columns, state.source_tokens)
    assert [r.ids for r in tiny.generate_from(read)] == [r.ids for r in tiny.generate(SOURCES)]
    twice = tiny.generate_from(state.select([2, 0, 2]))
    assert [r.ids for r in twice] == [r.ids for r in tiny.generate(["a", "abcab", "a"])]
    assert set(state.arrays) == {"state.0", "state.1", "memory.0", "memory.1"}


def test_states_of_other_models_are_refused(tiny: Model, tiny_onehot: Model) -> None:
    """Arrays with other names, or of other sizes; those of an ensemble too."""
    other, own = tiny_onehot.encode(["abc"]), tiny.encode(["abc"])
    with pytest.raises(InputError, match="state: expected one of this model, with"):
        tiny.generate_from(other)
    with pytest.raises(InputError, match="state: expected one of this model, with"):
        tiny_onehot.advance(own, [[3]])
    narrow = {**own.arrays, "state.1": own.arrays["state.1"][:, :3]}
    with pytest.raises(InputError, match="state: expected one of this model, with"):
        tiny.generate_from(replace(own, arrays=narrow))
    both, three = ensemble([tiny, tiny]), ensemble([tiny, tiny, tiny])
    for wrong in (own, three.encode(["abc"])):
        with pytest.raises(InputError, match="state: expected one of this ensemble of 2"):
            both.generate_from(wrong)


def test_values_go_on(fixtures: Path) -> None:
    """Predicting 3 and then 4 steps is predicting 7; the state given stays as it was."""
    model = s2s_runtime.load(fixtures / "tiny-values.s2s")
    inputs = np.random.default_rng(0).normal(size=(3, 4, 2))
    state = model.encode(inputs, start=[0.5])
    first, later = model.predict_from(state, steps=3)
    second, _ = model.predict_from(later, steps=4)
    expected = model.predict(inputs, steps=7, start=[0.5])
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), expected, atol=1e-6)
    np.testing.assert_allclose(model.predict_from(state)[0], expected[:, :5], atol=1e-6)


def test_what_cannot_be_continued_is_refused(tiny: Model, fixtures: Path) -> None:
    """Empty sources, lists that don't pair up, the wrong kind of model, alternatives."""
    values = s2s_runtime.load(fixtures / "tiny-values.s2s")
    with pytest.raises(InputError, match=r"inputs\[1\]: empty; there is nothing to encode"):
        tiny.encode(["a", ""])
    with pytest.raises(InputError, match="inputs: expected at least one source to encode, got none"):
        tiny.encode([])
    with pytest.raises(InputError, match=r"expected sources of one length, .* got lengths 2, 3; encode them apart"):
        values.encode([np.zeros((2, 2)), np.zeros((3, 2))])
    with pytest.raises(InputError, match=r"start: expected shape \(1,\) or \(1, 1\), got \(2,\)"):
        values.encode([np.zeros((2, 2))], start=[1.0, 2.0])
    with pytest.raises(OptionError, match="start: this bundle's model generates tokens"):
        tiny.encode(["a"], start=[1.0])
    state = tiny.encode(["a"])
    with pytest.raises(InputError, match=r"targets: expected one per row of the state \(1\), got 2"):
        tiny.advance(state, ["A", "B"])
    with pytest.raises(InputError, match=r"targets\[0\]: expected ids from 0 to 7, got 9"):
        tiny.advance(state, [[9]])
    with pytest.raises(OptionError, match="return_alternatives: expected False for generate_from, got True"):
        tiny.generate_from(state, return_alternatives=True)
    with pytest.raises(OptionError, match="predict_from: this bundle's model generates tokens, not values"):
        tiny.predict_from(state)
    with pytest.raises(OptionError, match="generate_from: this bundle's model gives values, not tokens"):
        values.generate_from(state)
    with pytest.raises(OptionError, match=r"prefix\[0\]: 3 tokens, but the target may have 2; shorten it"):
        tiny.generate_from(state, prefix=["ABC"], max_length=2)


def test_models_that_keep_their_states_say_so(random_model: Any) -> None:
    """A step model without to_arrays can decode but not give its states away."""
    with pytest.raises(OptionError, match="FakeModel: this step model can't give its states away"):
        random_model(0, 5).encode([[1]])

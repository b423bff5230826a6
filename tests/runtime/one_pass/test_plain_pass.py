"""The short way of plain calls, against the long way that every other call goes."""

from __future__ import annotations

import pickle
from dataclasses import fields, replace
from itertools import product

import numpy as np
import pytest
from fake_models import number_manifest

from s2s_runtime import Manifest, Model, PaddingPolicy, Result, Vocabulary
from s2s_runtime.errors import OptionError, RunError, S2SError
from s2s_runtime.one_pass.pass_model import OnePassModel
from s2s_runtime.results import Hypothesis

SIZE, SOURCE = 6, 10
WORDS = Vocabulary("symbol", ("<pad>", *(f"w{i}" for i in range(1, SOURCE))), padding="<pad>", start="w8", end="w9")
TAGS = Vocabulary("symbol", tuple("abcdef"), end="b")
TABLE = np.random.default_rng(0).normal(size=(60, SIZE)).astype(np.float32)


def outputs(source: np.ndarray) -> list[np.ndarray]:
    """What a row gives at a position, whatever it is padded with: what it read up to there tells."""
    return [TABLE[source.cumsum(axis=1) % len(TABLE)]]


def choose(never: frozenset[int], source: np.ndarray) -> np.ndarray:
    """What a graph that chooses by itself gives."""
    (logits,) = outputs(source)
    return np.where(np.isin(np.arange(SIZE), list(never)), -np.inf, logits).argmax(axis=2)


def manifest(*, masked: bool, length: int | None, texts: bool, **target: object) -> Manifest:
    made = number_manifest(SIZE, **{"max_length": None, "end_ids": (), **target})
    made = replace(
        made,
        kind="one-pass",
        graphs={"model": made.graphs["encoder"]},
        states=(),
        target=replace(made.target, feedback="none", start_id=None, aligned=masked),
        padding=PaddingPolicy(masked, 0, length=length),
    )
    return replace(made, source_vocabulary=WORDS, target_vocabulary=TAGS) if texts else made


def both_ways(model: Model, inputs: object, **options: object) -> tuple[list[Result], list[Result]]:
    """What the short way gives, which has to take it, and the long way."""
    short = model.prepare(**options)
    rows = short._plain.read(inputs)
    assert rows is not None, "not read as plain"
    taken = short.decode(inputs, None)
    short._plain = None
    return taken, short.decode(inputs, None)


PADDINGS = [(True, None), (True, 7), (False, 7), (False, None)]


@pytest.mark.parametrize(("masked", "length"), PADDINGS)
@pytest.mark.parametrize("texts", [False, True])
@pytest.mark.parametrize("ends", [(), (1,), (1, 3)])
@pytest.mark.parametrize("chooses", [False, True])
def test_the_short_way_gives_what_the_long_one_gives(
    masked: bool, length: int | None, texts: bool, ends: tuple[int, ...], chooses: bool
) -> None:
    """Arrays and texts, of one length and of several, with every plain option: all fields of the results are equal."""
    rng = np.random.default_rng(1)
    steps_model = OnePassModel(outputs, choose=choose if chooses else None)
    model = Model(manifest(masked=masked, length=length, texts=texts, end_ids=ends), steps_model)
    steps = length or 7
    arrays = rng.integers(1, SOURCE, (11, steps))
    inputs: list[object] = [arrays, arrays[:1].astype(np.uint8), arrays[:, :3]]
    if masked:
        lengths = rng.integers(1, steps + 1, 11)
        inputs.append(np.where(np.arange(steps) < lengths[:, None], arrays, 0))
    if texts:
        rows = [rng.integers(1, 8, rng.integers(1, 6) if masked or length else 4) for _ in range(11)]
        inputs.append([" ".join(WORDS.symbols[i] for i in row) for row in rows])
    options: list[dict[str, object]] = [{}, {"max_length": 3}, {"max_batch_size": 4}, {"max_batch_tokens": 8}]
    options += [{"suppress_tokens": [2, 4]}, {"allow_unknown": True, "length_penalty": 0.5}, {"end_tokens": [5]}]
    options += [{"return_end_token": True, "max_batch_size": 3}] if ends else []
    for given, chosen in product(inputs, options):
        taken, expected = both_ways(model, given, **chosen)
        assert taken == expected
        assert [repr(each) for each in taken] == [repr(each) for each in expected]
        assert [each.to_dict() for each in taken] == [each.to_dict() for each in expected]


@pytest.mark.parametrize(
    "inputs",
    [
        *(np.array([[1, 2], [3, SOURCE]]), np.array([[1, -1]]), np.array([[1, 0, 2]]), np.ones((2, 8), int)),
        *(np.array([1, 2]), np.ones((1, 2)), ["w1 w2", "w1 <pad> w2"], ["w1 x"], ["w1", 3], [" ".join(["w1"] * 9)]),
    ],
    ids=str,
)
def test_what_is_to_be_said_of_a_row_is_said_the_long_way(inputs: object) -> None:
    """Rows that aren't plain raise what the long way raises."""
    model = Model(manifest(masked=True, length=7, texts=True), OnePassModel(outputs))
    decoding = model.prepare()
    errors = []
    for _ in range(2):
        with pytest.raises(S2SError) as caught:
            decoding.decode(inputs, None)
        errors.append((type(caught.value), str(caught.value)))
        decoding._plain = None
    assert errors[0] == errors[1]


def test_rows_that_are_not_plain_are_decoded_all_the_same() -> None:
    """Empty rows and texts, lists of ids, and padding that a text spells: the short way leaves them to the long one."""
    model = Model(manifest(masked=True, length=7, texts=True), OnePassModel(outputs))
    plain = model.prepare()._plain
    assert plain is not None
    for inputs in ([], ["w1", ""], np.array([[1, 2], [0, 0]]), [[1, 2], [3]], ["w1 <pad>"], iter(["w1"])):
        assert plain.read(inputs) is None
    assert [each.text for each in model.generate(["w1", ""])][1] == ""
    assert model.generate(["w1 w2"]) == model.generate([[8, 1, 2, 9]])


@pytest.mark.parametrize(
    "options",
    [{"return_scores": True}, {"num_hypotheses": 2}, {"min_length": 1}, {"seed": 3, "sampling_temperature": 1.0}],
    ids=str,
)
def test_calls_that_ask_for_more_are_not_plain(options: dict[str, object]) -> None:
    """Whatever is more than the best symbols goes the long way."""
    model = Model(manifest(masked=True, length=None, texts=False, end_ids=(1,)), OnePassModel(outputs))
    assert model.prepare(**options)._plain is None
    assert model.prepare(max_length=2)._plain is not None


def test_a_length_beyond_the_model_is_refused() -> None:
    """An option that the bundle can't follow is an error of the long way."""
    made = manifest(masked=False, length=7, texts=False)
    made = replace(made, target=replace(made.target, most=5))
    with pytest.raises(OptionError, match="max_length: expected at most 5"):
        Model(made, OnePassModel(outputs)).generate(np.ones((1, 7), int), max_length=6)


def test_a_run_that_fails_says_of_which_rows() -> None:
    """No memory is one error that names the rows, as on the long way."""

    def fails(source: np.ndarray) -> list[np.ndarray]:
        raise MemoryError

    model = Model(manifest(masked=False, length=7, texts=False), OnePassModel(fails))
    decoding, errors = model.prepare(), []
    for _ in range(2):
        with pytest.raises(RunError) as caught:
            decoding.decode(np.ones((2, 7), int), None)
        errors.append((str(caught.value), caught.value.sources))
        decoding._plain = None
    assert errors[0] == errors[1]


def test_results_that_are_made_later_are_like_others() -> None:
    """They survive pickling and `replace`, don't change with the caller's array, and have no other attributes."""
    model = Model(manifest(masked=False, length=None, texts=True), OnePassModel(outputs))
    given = np.array([[1, 2, 3]])
    (result,) = model.generate(given)
    given[:] = 7
    assert result.source_tokens == ["w1", "w2", "w3"]
    (fresh,) = model.generate(np.array([[1, 2, 3]]))
    assert pickle.loads(pickle.dumps(fresh)) == result
    assert replace(model.generate(np.array([[1, 2, 3]]))[0], left_out=2).left_out == 2
    assert {each.name for each in fields(Hypothesis)} == set(Hypothesis.__dataclass_fields__)
    with pytest.raises(AttributeError, match="'Result' object has no attribute 'texts'"):
        _ = fresh.texts

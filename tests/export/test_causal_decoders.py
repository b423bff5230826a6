"""Decoders without recurrence: causal convolutions, and masked self-attention that is run on its prefix again."""

from pathlib import Path

import keras
import numpy as np
import pytest
from architectures.convolutional import causal_convolutions
from architectures.parts import SOURCE, TARGET
from architectures.prefixes import looks_back_on_itself, transformer_decoder
from keras import layers
from random_weights import randomise

import s2s_runtime
from s2s_export import export
from s2s_runtime.errors import OptionError
from s2s_training.errors import SplitError
from s2s_training.splitting import split

pytestmark = pytest.mark.tensorflow


def one_hot(ids: np.ndarray, size: int) -> np.ndarray:
    return np.eye(size, dtype=np.float32)[ids]


def test_last_inputs_are_states(tmp_path: Path) -> None:
    """Greedy tokens are those of the model re-fed with its prefix, a step costing the same however long that is.

    Source and target look alike; which is the target's shows in the number of outputs.
    """
    model = causal_convolutions()
    randomise(model)
    done = export(model, tmp_path / "m.s2s", start=1, source_length=6, source_kind="one-hot", max_length=9)
    assert [state.shape for state in done.manifest.states] == [(None, 2, TARGET), (None, 4, 8), (None, 1, 16)]
    ids = np.random.default_rng(0).integers(0, SOURCE, (5, 6))
    written = np.ones((5, 1), int)
    for _ in range(9):
        rows = np.array(model([one_hot(ids, SOURCE), one_hot(written, TARGET)]))[:, -1]
        rows[:, 1] = -1
        written = np.concatenate([written, rows.argmax(-1)[:, None]], axis=1)
    results = s2s_runtime.load(tmp_path / "m.s2s").generate(ids)
    assert [result.ids for result in results] == written[:, 1:].tolist()


@pytest.mark.parametrize("settings", [{"padding": "same"}, {"padding": "causal", "strides": 2}, {"padding": "valid"}])
def test_other_convolutions_have_no_such_state(settings: dict) -> None:
    """A convolution that reads later positions, or skips some, is refused by its name."""
    source, target = keras.Input((None,), dtype="int32"), keras.Input((None, TARGET))
    state = layers.GRU(8)(layers.Embedding(SOURCE, 4)(source))
    read = layers.Conv1D(6, 3, name="reader", **settings)(target)
    model = keras.Model([source, target], layers.GRU(8, return_sequences=True)(read, initial_state=state))
    with pytest.raises(SplitError, match=r'layer "reader" \(Conv1D\) reads other target positions'):
        split(model)


def test_a_transformer_is_run_on_its_prefix(tmp_path: Path) -> None:
    """Greedy tokens are those of the model re-fed with its prefix, for sources of several lengths, up to its length.

    It says so, asks for the length, refuses more steps, and goes on from a state.
    """
    model = transformer_decoder()
    randomise(model)
    with pytest.raises(SplitError, match=r"on its whole prefix again at every step.*give max_length=N"):
        export(model, tmp_path / "m.s2s", start=1)
    done = export(model, tmp_path / "m.s2s", start=1, max_length=7)
    assert any(
        "a step costs more the longer the target is, and it takes 7 steps at most" in n for n in done.facts.notes
    )
    bundle, rng = s2s_runtime.load(tmp_path / "m.s2s"), np.random.default_rng(0)
    sources = [rng.integers(3, SOURCE, size) for size in (3, 6, 4)]
    expected = []
    for source in sources:
        written = [1]
        for _ in range(7):
            row = np.array(model([source[None], np.array([written])]))[0, -1]
            row[[0, 1]] = -1
            written.append(int(row.argmax()))
        expected.append(written[1:])
    assert [result.ids for result in bundle.generate(sources)] == expected
    assert [result.ids for result in bundle.generate(sources, engine="steps")] == expected
    begun = bundle.advance(bundle.encode(sources), [ids[:4] for ids in expected])
    assert [result.ids for result in bundle.generate_from(begun)] == [ids[4:] for ids in expected]
    with pytest.raises(OptionError, match="max_length: expected at most 7"):
        bundle.generate(sources, max_length=8)


def test_values_looked_back_on(tmp_path: Path) -> None:
    """A recurrent decoder of a fixed length that attends over its own past gives what re-feeding it gives."""
    model = looks_back_on_itself()
    randomise(model)
    export(model, tmp_path / "m.s2s", feed={"shifted": "previous"})
    source, read = np.random.default_rng(0).normal(size=(3, 6, 2)).astype(np.float32), np.zeros((3, 5, 1), np.float32)
    for step in range(5):
        made = np.asarray(model([source, read]))
        read[:, step + 1 :] = made[:, step : step + 1] if step < 4 else read[:, step + 1 :]
    bundle = s2s_runtime.load(tmp_path / "m.s2s")
    np.testing.assert_allclose(bundle.predict(source), made, atol=1e-5)
    with pytest.raises(OptionError, match="steps: expected at most 5"):
        bundle.predict(source, steps=6)


def test_what_reads_later_steps_is_refused() -> None:
    """Self-attention without a causal mask depends on later steps, which trying shows: it has no way to be decoded."""
    source, target = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    _, state = layers.GRU(8, return_state=True)(layers.Embedding(SOURCE, 4)(source))
    decoded = layers.GRU(8, return_sequences=True)(layers.Embedding(TARGET, 4)(target), initial_state=state)
    model = keras.Model([source, target], layers.Dense(TARGET)(layers.Attention()([decoded, decoded])))
    with pytest.raises(SplitError, match="attends over target positions"):
        split(model, longest=5)

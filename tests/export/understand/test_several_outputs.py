"""Models with several outputs: the one that is decoded fits what the decoder reads, or is named by the caller."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
from architectures.parts import embed_source, source_ids
from export_command import fails, run
from keras import layers, ops
from random_weights import randomise

import s2s_runtime
from s2s_export import ExportError, ExportOptions, export
from s2s_export.exporter import take_apart
from s2s_runtime import PaddingPolicy, Vocabulary, VocabularyFile
from s2s_training.errors import SplitError

pytestmark = pytest.mark.tensorflow

SIZE = 7


def several(*widths: int, ids: int = SIZE, scores: bool = False, one_hot: bool = False) -> keras.Model:
    """A model with a head of each width, called "head" and its width; `ids` is what the decoder's embedding knows."""
    source = source_ids()
    target = keras.Input((None,), dtype="int32", name="target")
    memory, state = layers.GRU(8, return_sequences=True, return_state=True)(embed_source(source))
    fed = ops.one_hot(target, ids) if one_hot else layers.Embedding(ids, 4)(target)
    y, last = layers.GRU(8, return_sequences=True, return_state=True)(fed, initial_state=state)
    attended, weights = layers.Attention(name="look")([y, memory], return_attention_scores=True)
    y = layers.Concatenate()([y, attended])
    kinds = {1: "sigmoid"}
    heads = [layers.Dense(n, activation=kinds.get(n, "softmax"), name=f"head{n}")(y) for n in widths]
    model = keras.Model([source, target], [*([weights, last] if scores else []), *heads])
    randomise(model)
    return model


def options(**more: object) -> ExportOptions:
    return ExportOptions(start_id=1, end_ids=(2,), max_length=5, **more)


def decoded(model: keras.Model, **more: object) -> tuple[int, list[str]]:
    """How many symbols are decoded, and the notes."""
    _, _, facts = take_apart(model, options(**more))
    return facts.target.size, list(facts.notes)


def names(size: int) -> VocabularyFile:
    target = Vocabulary("symbol", tuple(f"s{i}" for i in range(size)), start="s1", end="s2")
    return VocabularyFile(None, target, PaddingPolicy(masked=False))


@pytest.mark.parametrize(("widths", "scores"), [((3, SIZE), False), ((1, SIZE), False), ((SIZE,), True)])
def test_output_that_fits_what_is_read(tmp_path: Path, widths: tuple[int, ...], scores: bool) -> None:
    """Auxiliary heads, attention weights and states before it don't matter; the bundle gives Keras's tokens."""
    model = several(*widths, scores=scores)
    exported = export(model, tmp_path / "m.s2s", options())
    assert any("'head7' is decoded (decoder_output names another)" in note for note in exported.facts.notes)
    tokens = [1]
    while len(tokens) < 6 and tokens[-1] != 2:
        row = np.array(model([np.array([[4, 5, 6]]), np.array([tokens])], training=False)[-1])[0, -1]
        row[1] = -1  # the start is never written
        tokens.append(int(row.argmax()))
    (result,) = s2s_runtime.load(tmp_path / "m.s2s").generate([[4, 5, 6]], return_end_token=True)
    assert result.ids == tokens[1:]


def test_what_the_width_is_known_from() -> None:
    """One-hot rows tell it as an embedding does, and the vocabulary given tells it before either."""
    assert decoded(several(3, SIZE, one_hot=True))[0] == SIZE
    assert decoded(several(SIZE, 9, ids=9))[0] == 9
    assert decoded(several(SIZE, 9, ids=9), vocabulary=names(SIZE))[0] == SIZE
    assert decoded(several(3, SIZE, ids=9), vocabulary=names(SIZE))[0] == SIZE


def test_one_output_is_not_noted() -> None:
    """There is nothing to choose."""
    size, notes = decoded(several(SIZE, ids=9))
    assert size == SIZE
    assert not any("is decoded" in note for note in notes)


def test_no_output_fits() -> None:
    """All are named with their shapes, and what to do is said; the caller's choice is followed."""
    said = "'head3' (-, -, 3), 'head7' (-, -, 7); the decoder reads 9 ids or features; say which with decoder_output="
    with pytest.raises(SplitError, match=re.escape(said)) as caught:
        decoded(several(3, SIZE, ids=9))
    assert "\n" not in str(caught.value)
    assert decoded(several(3, SIZE, ids=9), decoder_output="head7")[0] == SIZE


def test_several_outputs_fit() -> None:
    """Two heads of the decoder's width can't be told apart."""
    model = several(SIZE)
    second = layers.Dense(SIZE, activation="softmax", name="other")(model.outputs[0])
    model = keras.Model(model.inputs, [*model.outputs, second])
    with pytest.raises(SplitError, match=r"which is decoded can't be told: 'head7' \(-, -, 7\), 'other'"):
        decoded(model)
    assert "'other' is decoded" in " ".join(decoded(model, decoder_output="other")[1])


def test_name_of_no_output() -> None:
    """The outputs there are are listed."""
    said = "decoder_output: expected the name of one of the model's outputs (head3, head7), got 'head'"
    with pytest.raises(ExportError, match=re.escape(said)):
        decoded(several(3, SIZE), decoder_output="head")


def test_output_without_a_fixed_width() -> None:
    """Attention weights have as many columns as the source has symbols: nothing to decode."""
    with pytest.raises(ExportError, match="what is decoded has no fixed number of symbols or values in its last axis"):
        decoded(several(SIZE, scores=True), decoder_output="look")


def test_command(tmp_path: Path) -> None:
    """`--decoder-output` chooses, in a dry run too, and the choice is printed."""
    several(3, SIZE, ids=9).save(tmp_path / "m.keras")
    arguments = [tmp_path / "m.keras", "--start-id", "1", "--end-id", "2", "--max-length", "5"]
    fails(arguments, "several outputs depend on the decoder input, and which is decoded can't be told")
    for more in (["--dry-run"], []):
        code, output, errors = run(*arguments, "--decoder-output", "head7", *more)
        assert code == 0, errors
        assert "note: of the model's outputs (head3, head7) 'head7' is decoded" in output
    assert s2s_runtime.load(tmp_path / "m.s2s").manifest.target.size == SIZE

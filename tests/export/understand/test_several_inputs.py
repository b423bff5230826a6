"""Models with several source inputs: what is understood of them, decoded from their bundles, and refused."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
from architectures.inputs import two_sources_two_encoders
from architectures.parts import embed_source, embed_target, head, source_ids, target_ids
from keras import layers
from random_weights import randomise
from typer.testing import CliRunner

import s2s_runtime
from s2s_export import ExportError, ExportOptions, export
from s2s_training.errors import SplitError

pytestmark = pytest.mark.tensorflow


def options(**more: object) -> ExportOptions:
    return ExportOptions(start_id=1, end_ids=(2,), max_length=5, **more)


def keras_greedy(model: keras.Model, sources: list[np.ndarray], steps: int) -> list[int]:
    """One sentence decoded by the whole training model, its own output fed back."""
    tokens = [1]
    for _ in range(steps):
        row = np.array(model([*sources, np.array([tokens])], training=False))[0, -1]
        row[[0, 1]] = -1  # padding and start are never written
        tokens.append(int(row.argmax()))
        if tokens[-1] == 2:
            break
    return tokens[1:]


def test_two_encoders_decode_from_python(tmp_path: Path) -> None:
    """Padded arrays by the names of the training model's inputs give what Keras gives for each sentence alone."""
    model = two_sources_two_encoders()
    randomise(model)
    export(model, tmp_path / "two.s2s", options())
    bundle = s2s_runtime.load(tmp_path / "two.s2s")
    assert bundle.manifest.source.names == ("source_tokens", "frames")
    rng = np.random.default_rng(5)
    words, frames = np.zeros((6, 9), np.int64), np.zeros((6, 7, 5), np.float32)
    lengths = [(9, 2), (2, 7), (4, 4), (2, 6), (7, 3), (5, 5)]
    for row, (one, other) in enumerate(lengths):
        words[row, :one] = rng.integers(1, 13, one)
        frames[row, :other] = rng.normal(size=(other, 5))
    results = bundle.generate(
        {"source_tokens": words, "frames": frames}, return_end_token=True, return_attention=True, beam_size=1
    )
    for row, (one, other) in enumerate(lengths):
        alone = [words[row : row + 1, :one], frames[row : row + 1, :other]]
        assert results[row].ids == keras_greedy(model, alone, 5)
        attention = results[row].hypotheses[0].attention
        assert attention is not None
        assert attention.shape[1] == one  # the weights are those over the first source
        np.testing.assert_allclose(attention.sum(axis=1), 1, atol=1e-5)


def test_text_goes_to_the_input_that_reads_text(tmp_path: Path) -> None:
    """A text layer before the second input makes that the first source; what stands beside it takes numbers."""
    tags, words, target = (
        keras.Input((None,), dtype="int32", name="tags"),
        keras.Input((None,), dtype="string", name="words"),
        target_ids(),
    )
    ids = layers.StringLookup(vocabulary=["the", "cat", "sat"], mask_token="")(words)
    x = layers.Concatenate()([layers.Embedding(5, 3, mask_zero=True)(tags), embed_source(ids)])
    _, state = layers.GRU(8, return_state=True)(x)
    y = layers.GRU(8, return_sequences=True)(embed_target(target), initial_state=state)
    model = keras.Model([tags, words, target], head(y))
    randomise(model)
    exported = export(model, tmp_path / "text.s2s", options())
    assert exported.manifest.source.names == ("words", "tags")
    bundle = s2s_runtime.load(tmp_path / "text.s2s")
    ids_of = {"the": 2, "cat": 3, "sat": 4}
    given = [[ids_of[word] for word in ["the", "cat", "sat"]]]
    one, other = (bundle.generate({"words": each, "tags": [[1, 2, 3]]})[0].ids for each in (["the cat sat"], given))
    assert one == other


def test_further_inputs_of_one_hot_rows(tmp_path: Path) -> None:
    """A further input may take one-hot rows by id; the input to get the text can be named."""
    words, tags, target = source_ids(), keras.Input((None, 5), name="tags"), target_ids()
    x = layers.Concatenate()([embed_source(words), layers.Masking()(tags)])
    _, state = layers.GRU(8, return_state=True)(x)
    y = layers.GRU(8, return_sequences=True)(embed_target(target), initial_state=state)
    model = keras.Model([words, tags, target], head(y))
    randomise(model)
    exported = export(model, tmp_path / "tags.s2s", options(one_hot_inputs=("tags",)))
    assert exported.manifest.source.others[0].kind == "one-hot"
    bundle = s2s_runtime.load(tmp_path / "tags.s2s")
    by_id, as_rows = (
        bundle.generate({"source_tokens": [[5, 6]], "tags": tags})[0].ids
        for tags in ([[0, 4]], np.eye(5)[None, [0, 4]])
    )
    assert by_id == as_rows
    with pytest.raises(ExportError, match=re.escape("one_hot_inputs: expected a further source input of vectors")):
        export(model, tmp_path / "other.s2s", options(one_hot_inputs=("source_tokens",)))
    with pytest.raises(SplitError, match=r"no source input is called 'target_tokens'.*are source_tokens, tags"):
        export(model, tmp_path / "other.s2s", options(source_input="target_tokens"))


def test_input_of_another_rank() -> None:
    """Pictures of any size beside the words have no place in a bundle: the input and its shape are named."""
    from s2s_export.exporter import take_apart

    words, picture, target = source_ids(), keras.Input((None, None, 3), name="picture"), target_ids()
    seen = layers.Dense(8)(layers.GlobalAveragePooling2D()(picture))
    _, state = layers.GRU(8, return_state=True)(embed_source(words))
    y = layers.GRU(8, return_sequences=True)(embed_target(target), initial_state=layers.Add()([state, seen]))
    expected = "'picture' has shape (None, None, None, 3); expected the sizes of a step to be fixed"
    with pytest.raises(ExportError, match=re.escape(expected)):
        take_apart(keras.Model([words, picture, target], head(y)), options())


def test_input_that_nothing_decoded_reads(tmp_path: Path) -> None:
    """An input of a second head alone is no source: the bundle leaves it out."""
    words, other, target = source_ids(), keras.Input((4,), name="other"), target_ids()
    _, state = layers.GRU(8, return_state=True)(embed_source(words))
    y = layers.GRU(8, return_sequences=True)(embed_target(target), initial_state=state)
    side = layers.Dense(1)(layers.Concatenate()([state, other]))
    model = keras.Model([other, words, target], [head(y), side])
    randomise(model)
    exported = export(model, tmp_path / "side.s2s", options())
    assert exported.manifest.source.names == ("source",)
    assert exported.report.passed


def test_dry_run_names_the_sources(tmp_path: Path) -> None:
    """`s2s-export --dry-run` says what each source is."""
    from s2s_export.commands.export import app

    two_sources_two_encoders().save(tmp_path / "two.keras")
    shown = CliRunner().invoke(app, [str(tmp_path / "two.keras"), "--dry-run", "--start-id", "1"])
    assert shown.exit_code == 0, shown.output
    assert "source: source_tokens: ids, size 13; frames: values, size 5;" in shown.output
    assert "note: several sources: decode with a mapping from source_tokens, frames to rows" in shown.output

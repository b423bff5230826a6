"""Models trained with CTC: recognisers of pictures and sound, whose bundles read symbols off frames."""

from itertools import groupby
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from random_weights import randomise
from typer.testing import CliRunner

import s2s_runtime
from s2s_export import ExportError, export
from s2s_runtime import OptionError
from s2s_runtime.commands.plot import app as plot
from s2s_training.errors import SplitError

pytestmark = pytest.mark.tensorflow

LETTERS = "abcdef"


class CTCLoss(layers.Layer):
    """The layer that published readers end with: it adds the loss in training and gives back what is predicted."""

    def call(self, labels, predicted):
        """Add the loss, with the blank last."""
        rows, frames, width = ops.shape(predicted)[0], ops.shape(predicted)[1], ops.shape(labels)[1]
        lengths = ops.ones((rows,), "int32")
        self.add_loss(
            ops.ctc_loss(ops.cast(labels, "int32"), predicted, lengths * width, lengths * frames, len(LETTERS) + 1)
        )
        return predicted


def captcha() -> keras.Model:
    """Pictures, columns of which are frames; the labels beside them are read in training alone."""
    picture = keras.Input((24, 8, 1), name="image")
    labels = keras.Input((None,), name="label")
    hidden = layers.MaxPooling2D(2)(layers.Conv2D(4, 3, activation="relu", padding="same")(picture))
    hidden = layers.Dense(8)(layers.Reshape((12, 16))(hidden))
    hidden = layers.Bidirectional(layers.LSTM(6, return_sequences=True))(hidden)
    predicted = layers.Dense(len(LETTERS) + 2, activation="softmax", name="characters")(hidden)
    return keras.Model([picture, labels], CTCLoss(name="ctc_loss")(labels, predicted))


def speech() -> keras.Model:
    """Spectrograms of any length, of which every second step is a frame."""
    heard = keras.Input((None, 9), name="input")
    hidden = layers.Reshape((-1, 9, 1))(heard)
    hidden = layers.Conv2D(3, (5, 3), strides=(2, 2), padding="same", use_bias=False)(hidden)
    hidden = layers.ReLU()(layers.BatchNormalization()(hidden))
    hidden = layers.Reshape((-1, 5 * 3))(hidden)
    hidden = layers.Bidirectional(layers.GRU(5, return_sequences=True))(hidden)
    return keras.Model(heard, layers.Dense(len(LETTERS) + 1)(hidden))


def said(rows: np.ndarray, blank: int) -> list[int]:
    """Return what the likeliest alignment says."""
    return [token for token, _ in groupby(rows.argmax(axis=-1).tolist()) if token != blank]


def test_the_layer_of_the_loss_is_left_out(tmp_path: Path) -> None:
    """A bundle reads pictures alone; symbols are those of the lookup layer, frames and scores are Keras's."""
    model = captcha()
    randomise(model)
    lookup = layers.StringLookup(vocabulary=list(LETTERS), mask_token=None)
    done = export(model, tmp_path / "m.s2s", ctc="last", target=lookup, verify_sources=6)
    assert done.manifest.kind == "ctc"
    assert done.manifest.target.blank_id == len(LETTERS) + 1
    bundle = s2s_runtime.load(tmp_path / "m.s2s")
    pictures = np.random.default_rng(0).normal(size=(5, 24, 8, 1)).astype(np.float32)
    reader = keras.Model(model.inputs[0], model.get_layer("characters").output)
    frames = reader.predict(pictures, verbose=0)
    frames[..., 0] = 0  # what is unknown is not written
    wanted = [said(row, len(LETTERS) + 1) for row in frames]
    results = bundle.generate(pictures, return_alignments=True)
    assert [result.ids for result in results] == wanted
    assert results[0].text == "".join(LETTERS[i - 1] for i in wanted[0])
    for result, row in zip(results, frames, strict=True):
        best = row.argmax(axis=-1)
        for token, (first, behind) in zip(result.ids, result.hypotheses[0].alignment, strict=True):
            assert set(best[first:behind]) == {token}
    drawn, shown = tmp_path / "picture.npy", next(i for i, result in enumerate(results) if result.ids)
    np.save(drawn, pictures[shown])
    asked = ["alignment", str(tmp_path / "m.s2s"), str(drawn), "-o", str(tmp_path / "m.svg")]
    assert CliRunner().invoke(plot, asked).exit_code == 0
    assert (tmp_path / "m.svg").read_bytes().startswith(b"<?xml")
    tags = ["tags", str(tmp_path / "m.s2s"), "a", "-o", str(tmp_path / "m.svg")]
    refused = CliRunner().invoke(plot, tags)
    assert "expected a bundle that gives an output for each symbol of its source" in " ".join(refused.stderr.split())


def test_a_loss_that_nobody_named_is_asked_about(tmp_path: Path) -> None:
    """Rather than taking its labels for a source, whose size nothing tells."""
    with pytest.raises(SplitError, match=r"reads label, which nothing else does.*if that is CTC.*ctc=last"):
        export(captcha(), tmp_path / "m.s2s")


def test_scores_are_tensorflows_ctc_loss(tmp_path: Path) -> None:
    """Of any symbols, found or given; beams give the likeliest first, and each its own sum over alignments."""
    model = speech()
    randomise(model)
    export(
        model, tmp_path / "m.s2s", ctc="first", target={letter: i for i, letter in enumerate(LETTERS)}, verify_sources=6
    )
    bundle = s2s_runtime.load(tmp_path / "m.s2s")
    heard = [np.random.default_rng(i).normal(size=(n, 9)).astype(np.float32) for i, n in enumerate((12, 20, 12, 7))]
    results = bundle.generate(heard, beam_size=8, num_hypotheses=3)
    for sound, result in zip(heard, results, strict=True):
        logits = model.predict(sound[None], verbose=0)
        texts = [hypothesis.text for hypothesis in result.hypotheses] + ["ab"]
        given = bundle.score([sound] * len(texts), texts)
        for text, scored in zip(texts, given, strict=True):
            ids = [LETTERS.index(letter) + 1 for letter in text]
            lengths = [len(ids)], [logits.shape[1]]
            loss = tf.nn.ctc_loss([[*ids, 0]], logits, *lengths, logits_time_major=False, blank_index=0)
            assert scored.log_probability == pytest.approx(-float(loss[0]), rel=1e-5, abs=1e-4)
        scores = [hypothesis.score for hypothesis in result.hypotheses]
        assert scores == sorted(scores, reverse=True)
        np.testing.assert_allclose(scores, [scored.score for scored in given[:-1]], atol=1e-9)


def test_what_has_no_meaning_is_refused(tmp_path: Path) -> None:
    """Options of steps, a class that isn't there, alignments of other models."""
    model = speech()
    randomise(model)
    with pytest.raises(ExportError, match="expected last, first, or the id of the blank"):
        export(model, tmp_path / "m.s2s", ctc="blank")
    with pytest.raises(ExportError, match="expected a class below 7"):
        export(model, tmp_path / "m.s2s", ctc=7)
    export(model, tmp_path / "m.s2s", ctc=6, verify_sources=4)
    bundle = s2s_runtime.load(tmp_path / "m.s2s")
    sound = [np.zeros((8, 9), np.float32)]
    with pytest.raises(OptionError, match="max_length: no meaning for a model trained with CTC"):
        bundle.generate(sound, max_length=4)
    assert not bundle.generate(sound, suppress_tokens=[0, 1, 2, 3, 4, 5], beam_size=2)[0].ids

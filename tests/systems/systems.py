"""The encoder-decoders of the field, each with how it is trained: a row of the table in docs/systems.md.

A system trains itself into a folder and then says what its bundle has to give: `expected.json` holds sources and what
Keras makes of them. Data are small and training is short, as the question here is whether the whole line holds; what
full training comes to stands in benchmarks/QUALITY.md.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from s2s_runtime import VocabularyFile
from s2s_training.config.toml_file import read_config
from s2s_training.data.arrays import Layout
from s2s_training.data.datasets import default_config, tutorial_config
from s2s_training.fit.greedy_decoder import GreedyDecoder
from s2s_training.fit.series_task import SeriesTask
from s2s_training.seq2seq import AttentionSeq2Seq, Seq2Seq, SimpleSeq2Seq
from s2s_training.train import train

WORDS = ["go", "run", "tom", "is", "home", "cold", "we", "won"]
SMALL = {"units": 16, "embedding": 12, "epochs": 3, "score": 0, "batch_size": 16}
TUTORIAL = {"units": 24, "epochs": 3, "score": 0, "batch_size": 16}
SYMBOLS, STEPS = 9, 5  # of the arrays that models outside `s2s-train` learn from


@dataclass(frozen=True)
class System:
    """One row.

    Attributes:
        what: the model, as the table says it.
        train: trains it into a folder (`model.keras` or `model.h5`, `expected.json`) and returns the training loss of
            each epoch.
        export: further arguments of `s2s-export`.
        file: the saved model.
    """

    what: str
    train: Callable[[Path], list[float]]
    export: list[str] = field(default_factory=list)
    file: str = "model.keras"


def sentences() -> list[tuple[str, str]]:
    """Sentences of a few words, and their words in other order."""
    rng = random.Random(0)
    rows = sorted({tuple(rng.choices(WORDS, k=rng.randint(1, 4))) for _ in range(300)})
    return [(" ".join(row), f"{' '.join(row[::-1])}!") for row in rows]


def of_texts(
    file: str = "model.keras",
    data: str | None = None,
    tutorial: bool = False,
    written: Callable[[str], str] = lambda text: text,
    **options: Any,
) -> Any:
    """Training of a model that reads and writes text, by `s2s-train`'s own function; `written` makes other targets."""

    def run(folder: Path) -> list[float]:
        pairs = folder.parent / f"{folder.name}.tsv"
        rows = "".join(f"{source}\t{written(target)}\n" for source, target in sentences())
        pairs.write_text(rows, encoding="utf-8")
        config = (tutorial_config if tutorial else default_config)(data or str(pairs))
        train(config.override(**(TUTORIAL if tutorial else SMALL) | options), folder)
        model, vocabulary = load(folder), VocabularyFile.read(folder / "vocab.json")
        if file != "model.keras":
            model.save(folder / file)
        texts = [source for source, _ in sentences()[::10]] if data is None else ["12+7", "1+1", "99+99", "5+60"]
        layout = Layout.of(vocabulary, read_config(folder / "config.toml").model)
        decoded = GreedyDecoder(model, layout, vocabulary).decode(texts)
        return expect(folder, {"texts": texts}, decoded, column(folder, "loss"))

    return run


def of_lines(**options: Any) -> Any:
    """Training of a language model; what is expected is what its loop goes on with, and how likely it finds lines."""

    def run(folder: Path) -> list[float]:
        text = folder.parent / f"{folder.name}.txt"
        lines = [target for _, target in sentences()]
        text.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        train(default_config(str(text), "language-model").override(**options), folder)
        model, vocabulary = load(folder), VocabularyFile.read(folder / "vocab.json")
        target, prompts = vocabulary.target, ["", "go", "tom is"]
        given = [target.encode_sentence(text)[:-1] for text in prompts]
        written = [target.decode(go_on(model, ids, target.end_id, vocabulary.max_length)) for ids in given]
        scored = [log_probability(model, target.encode_sentence(line)) for line in lines[::20]]
        given = {"texts": prompts, "scored": lines[::20], "log_probabilities": scored}
        return expect(folder, given, written, column(folder, "loss"))

    return run


def go_on(model: keras.Model, ids: list[int], end: int, most: int) -> list[int]:
    """What a language model goes on with, a symbol at a time, the whole read again for each; without the start."""
    while len(ids) <= most:
        probabilities = np.array(model(np.array([ids])))[0, -1]
        probabilities[:2] = 0  # the unknown symbol and the start are never written
        best = int(probabilities.argmax())
        if best == end:
            break
        ids = [*ids, best]
    return ids[1:]


def log_probability(model: keras.Model, ids: list[int]) -> float:
    """The log-probability of a line between its start and its end."""
    probabilities = np.asarray(model(np.array([ids[:-1]])))[0]
    return float(np.log(probabilities[np.arange(len(ids) - 1), ids[1:]]).sum())


def of_curves(data: str) -> Any:
    """Training of a built-in set of curves; what is expected is every predicted value."""

    def run(folder: Path) -> list[float]:
        config = default_config(data).override(units=12, epochs=4)
        train(config, folder)
        task = SeriesTask(config)
        task.model.set_weights(load(folder).get_weights())
        sources = np.load(folder / "windows.npz")["sources"][::20]
        values = task.predict(sources)
        return expect(folder, {"values": sources.tolist()}, values.tolist(), column(folder, "loss"))

    return run


def of_vectors(build: Callable[[], keras.Model], *, teacher: bool = False) -> Any:
    """Training of one of the add-on library's constructors: a sequence of vectors to its running mean, backwards."""

    def run(folder: Path) -> list[float]:
        rng = np.random.default_rng(0)
        source = rng.normal(size=(128, 6, 2)).astype(np.float32)
        means = np.cumsum(source, axis=1) / np.arange(1, 7)[:, None]
        target = np.concatenate([means, means[..., :1]], axis=-1)[:, :-5:-1]
        model = build()
        shifted = np.pad(target, [(0, 0), (1, 0), (0, 0)])[:, :-1]  # where targets are one input: one step earlier
        inputs = [source, target if teacher else shifted] if len(model.inputs) == 2 else source
        losses = fit(model, inputs, target, "mean_squared_error", folder)
        free = [source[:4], np.zeros_like(target[:4])] if teacher else source[:4]  # the target is not looked at
        return expect(folder, {"values": source[:4].tolist()}, np.asarray(model(free)).tolist(), losses)

    return run


def of_one_hot(build: Callable[[], keras.Model], expected: Callable[[keras.Model, Any], list[list[int]]]) -> Any:
    """Training of a model outside `s2s-train` on one-hot symbols that come out backwards, an end token behind."""

    def run(folder: Path) -> list[float]:
        rng = np.random.default_rng(0)
        ids = rng.integers(3, SYMBOLS, size=(256, STEPS - 1))
        targets = np.concatenate([ids[:, ::-1], np.full((256, 1), 2)], axis=1)
        source, start = np.eye(SYMBOLS, dtype=np.float32)[ids], one_hot_start(256)
        model = build()
        losses = fit(model, [source, start], np.eye(SYMBOLS)[targets], "categorical_crossentropy", folder)
        some = source[:12]
        return expect(folder, {"vectors": some.tolist()}, expected(model, some), losses)

    return run


def fit(model: keras.Model, inputs: Any, targets: np.ndarray, loss: str, folder: Path) -> list[float]:
    """Ordinary training, as a notebook does it; saves the model."""
    keras.utils.set_random_seed(1)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=loss)
    history = model.fit(inputs, targets, batch_size=32, epochs=4, verbose=0)
    folder.mkdir()
    model.save(folder / "model.keras")
    return history.history["loss"]


def expect(folder: Path, inputs: dict[str, Any], outputs: list[Any], losses: list[float]) -> list[float]:
    """Writes what the bundle has to give; returns the losses."""
    (folder / "expected.json").write_text(json.dumps({**inputs, "expected": outputs}), encoding="utf-8")
    return losses


def load(folder: Path) -> keras.Model:
    """The saved model, as anyone would load it."""
    return keras.models.load_model(folder / "model.keras", compile=False)


def column(folder: Path, name: str) -> list[float]:
    """A column of the run's history."""
    return list(json.loads((folder / "history.json").read_text(encoding="utf-8"))[name])


def one_hot_start(rows: int) -> np.ndarray:
    """The start token, (rows, 1, symbols)."""
    return np.eye(SYMBOLS, dtype=np.float32)[np.ones((rows, 1), int)]


def unrolled() -> keras.Model:
    """The published model without teacher forcing: its softmax is the next input, the same layers called each step."""
    source, start = keras.Input((STEPS - 1, SYMBOLS)), keras.Input((1, SYMBOLS))
    _, *states = layers.LSTM(24, return_state=True)(source)
    decoder = layers.LSTM(24, return_sequences=True, return_state=True)
    dense, given, outputs = layers.Dense(SYMBOLS, activation="softmax"), start, []
    for _ in range(STEPS):
        output, *states = decoder(given, initial_state=states)
        given = dense(output)
        outputs.append(given)
    return keras.Model([source, start], layers.Concatenate(axis=1)(outputs))


def read_off(model: keras.Model, sources: np.ndarray) -> list[list[int]]:
    """The tokens of an unrolled model, up to the end token."""
    rows = np.asarray(model([sources, one_hot_start(len(sources))])).argmax(-1).tolist()
    return [row[: row.index(2)] if 2 in row else row for row in rows]


SIZES = {"output_dim": 3, "output_length": 4, "hidden_dim": 12, "input_dim": 2}
ONE_HOT = ["--source-length", "4", "--start-id", "1", "--end-id", "2"]
VALUES = ["--source-length", "6"]
FEW = ["--verify-sources", "4"]
QUICK = {"bidirectional": True, "learning_rate": 0.02, "epochs": 2, "buckets": 1}


def attending(**options: Any) -> Any:
    """A bidirectional encoder with attention over its outputs."""
    return of_texts(bidirectional=True, units=8, **options)


SYSTEMS = {
    "character-translator": System(
        "character translator: one-hot LSTM, padded with spaces", of_texts(tutorial=True, padding="space")
    ),
    "character-translator-h5": System(
        "the same, padded with zeros, kept as .h5",
        of_texts(file="model.h5", tutorial=True, padding="zeros"),
        file="model.h5",
    ),
    "character-gru": System("the same with GRU layers, one state", of_texts(tutorial=True, cell="gru")),
    "character-simple-rnn": System(
        "the same with simple recurrent layers, no gates", of_texts(tutorial=True, cell="simple-rnn")
    ),
    "word-level": System("words: embeddings on either side", of_texts(source_unit="word", target_unit="word")),
    "unrolled": System(
        "without teacher forcing, its layers called at every step", of_one_hot(unrolled, read_off), ONE_HOT
    ),
    "free-running": System("without teacher forcing, any length", of_texts(free_running=True, embedding=0)),
    "addition": System(
        "addition: LSTM, RepeatVector, LSTM", of_texts(data="addition", digits=2, rows=1000, units=24, epochs=3)
    ),
    "sine-cosine": System("sine to cosine: values fed back", of_curves("sine-cosine")),
    "damped": System("damped oscillation", of_curves("damped")),
    "powers": System("powers", of_curves("powers")),
    "simple-seq2seq": System(
        "SimpleSeq2Seq", of_vectors(lambda: SimpleSeq2Seq(**SIZES, depth=(2, 1), dropout=0.1)), VALUES
    ),
    "seq2seq": System("Seq2Seq: readout, states handed over", of_vectors(lambda: Seq2Seq(**SIZES, depth=2)), VALUES),
    "seq2seq-peek": System(
        "Seq2Seq: peek and teacher forcing, GRU",
        of_vectors(lambda: Seq2Seq(**SIZES, peek=True, teacher_force=True, cell="gru"), teacher=True),
        VALUES,
    ),
    "attention-seq2seq": System(
        "AttentionSeq2Seq: bidirectional, alignment at every step",
        of_vectors(lambda: AttentionSeq2Seq(**SIZES)),
        VALUES,
    ),
    "attention-dot": System("attention, dot", attending(attention="dot")),
    "attention-general": System("attention, general", attending(attention="general")),
    "attention-additive": System("attention, additive", attending(attention="additive")),
    "attention-multi-head": System("attention, multi-head", attending(attention="multi-head", heads=2)),
    "input-feeding-dot": System("attention, dot, with input feeding", attending(attention="dot", input_feeding=True)),
    "input-feeding-general": System(
        "attention, general, with input feeding", attending(attention="general", input_feeding=True)
    ),
    "input-feeding-additive": System(
        "attention, additive, with input feeding", attending(attention="additive", input_feeding=True)
    ),
    "input-feeding-simple-rnn": System(
        "the same with simple recurrent layers, no gates",
        attending(attention="additive", input_feeding=True, cell="simple-rnn"),
    ),
    "scheduled-sampling": System(
        "scheduled sampling", of_texts(scheduled_sampling=0.5, sampling_steps=20, attention="dot")
    ),
    "peek-concat": System("context at every step, as a further input", of_texts(peek="concat")),
    "peek-add": System("context at every step, added", of_texts(peek="add", cell="gru")),
    "deep": System(
        "three encoder and two decoder layers, residual and normalised",
        of_texts(encoder_layers=3, decoder_layers=2, residual=True, layer_norm=True),
    ),
    "tied": System("tied embeddings", of_texts(tied=True, units=12)),
    "bridged": System(
        "dense bridges to a wider decoder", of_texts(bidirectional=True, units=8, decoder_units=20, bridge="dense")
    ),
    "tagger": System(
        "a tagger: an output for each symbol of the source, and an end where it is shorter",
        of_texts(kind="same-length", written=lambda text: text[1:-1].upper(), **QUICK),
        FEW,
    ),
    "ctc": System(
        "CTC: symbols read off two frames for each symbol of the source",
        of_texts(kind="ctc", upsample=2, written=str.upper, **QUICK),
        FEW,
    ),
    "language-model": System(
        "a language model, states carried from window to window",
        of_lines(units=16, embedding=12, epochs=2, batch_size=8, window=16, learning_rate=0.02),
        FEW,
    ),
    "sub-words": System(
        "sub-word units of sentencepiece",
        of_texts(source_unit="sentencepiece", target_unit="sentencepiece", vocabulary_size=24),
    ),
}

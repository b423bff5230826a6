"""Throughput of a tagger of one pass: its bundle, Keras's `predict`, TensorFlow's compiled call, a plain tf2onnx graph.

    python benchmarks/one_pass.py                # on a quiet machine

The model is a tagger as tutorials have it: 5,000 words, an Embedding of 64, a bidirectional LSTM of 64 units, 20 tags,
sentences of 20 words. Everyone takes padded ids in and gives the ids of the best tags out; whose tags aren't Keras's is
named as such. Peers take turns; the median of their times counts. Prints a table for README.md.
"""

from __future__ import annotations

import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

WORDS, TAGS, LENGTH = 5_000, 20, 20
BATCHES = (1, 32, 256)

Peer = Callable[[np.ndarray], np.ndarray]


def tagger() -> Any:
    """Return the model, with random weights."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    words = keras.Input((None,), dtype="int32")
    x = layers.Embedding(WORDS, 64)(words)
    x = layers.Bidirectional(layers.LSTM(64, return_sequences=True))(x)
    model = keras.Model(words, layers.Dense(TAGS, activation="softmax")(x))
    for variable in model.trainable_variables:
        variable.assign(np.random.default_rng(len(variable.shape)).normal(size=variable.shape, scale=0.3))
    return model


def peers(model: Any, folder: Path) -> dict[str, Peer]:
    """Return what is compared, by name, each from padded ids (rows, words) to ids of tags (rows, words)."""
    import onnxruntime
    import tensorflow as tf
    import tf2onnx

    import s2s_export
    import s2s_runtime

    s2s_export.export(model, folder / "tagger.s2s", source_length=LENGTH)
    bundle = s2s_runtime.load(folder / "tagger.s2s")
    signature = [tf.TensorSpec((None, None), tf.int32, name="words")]
    plain, _ = tf2onnx.convert.from_function(
        tf.function(lambda words: model(words, training=False), input_signature=signature), input_signature=signature
    )
    session = onnxruntime.InferenceSession(plain.SerializeToString(), providers=["CPUExecutionProvider"])
    own = onnxruntime.InferenceSession(folder / "tagger.s2s" / "model.onnx", providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    called = tf.function(lambda words: tf.argmax(model(words, training=False), -1), input_signature=signature)
    return {
        "`s2s_runtime`, `generate`": lambda ids: np.array([result.ids for result in bundle.generate(ids)]),
        "the bundle's graph in onnxruntime": lambda ids: own.run(None, {"source": ids.astype(np.int64)})[0].argmax(-1),
        "plain tf2onnx graph in onnxruntime": lambda ids: session.run(None, {name: ids})[0].argmax(-1),
        "TensorFlow, one `tf.function`": lambda ids: called(tf.constant(ids)).numpy(),
        "Keras, `predict`": lambda ids: model.predict(ids, verbose=0, batch_size=len(ids)).argmax(-1),
    }


def measured(given: dict[str, Peer], ids: np.ndarray, seconds: float) -> dict[str, float]:
    """Return the median time of each, in milliseconds, the peers taking turns."""
    times: dict[str, list[float]] = {name: [] for name in given}
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for name, peer in given.items():
            begun = time.perf_counter()
            peer(ids)
            times[name].append(1000 * (time.perf_counter() - begun))
    return {name: statistics.median(taken) for name, taken in times.items()}


def main(seconds: Annotated[float, typer.Option(help="Seconds for each batch size.")] = 8.0) -> None:
    """Measure, and print the table."""
    logging.disable(logging.WARNING)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory() as name:
        given = peers(tagger(), Path(name))
        rng = np.random.default_rng(0)
        rows: dict[str, list[str]] = {peer: [] for peer in given}
        wrong: set[str] = set()
        for batch in BATCHES:
            ids = rng.integers(1, WORDS, (batch, LENGTH)).astype(np.int32)
            wanted = given["Keras, `predict`"](ids)
            for peer, run in given.items():
                if float((run(ids) == wanted).mean()) < 0.999:  # a tie may fall otherwise
                    wrong.add(peer)
            found = measured(given, ids, seconds)
            own = found["`s2s_runtime`, `generate`"]
            for peer, taken in found.items():
                rows[peer].append(f"{taken:.2f} ms ({taken / own:.2f})")
    print(f"| milliseconds a batch (times as long as `s2s_runtime`) | {' | '.join(f'batch {b}' for b in BATCHES)} |")
    print(f"| --- | {' | '.join('---:' for _ in BATCHES)} |")
    for peer, cells in rows.items():
        print(f"| {peer}{', whose tags are others' if peer in wrong else ''} | {' | '.join(cells)} |")


if __name__ == "__main__":
    typer.run(main)

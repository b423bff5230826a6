"""Time of a masked bidirectional GRU encoder: exported here, and by tf2onnx alone.

`python benchmarks/encoder_gru.py [-o FILE.json]`

Both graphs read the same ids and give the same numbers (checked first); tf2onnx alone makes a Loop of each direction,
the export here one GRU node. Medians of alternating runs on the threads given; JSON goes to the file or to standard
output.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

BATCH, LONGEST, UNITS, EMBEDDED, SYMBOLS = 32, 30, 256, 64, 100


def build() -> tuple[Any, Any]:
    """Return a training model with a masked bidirectional GRU, and its encoder as a Keras model of its own."""
    import keras
    from keras import layers

    source, target = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    embedded = layers.Embedding(SYMBOLS, EMBEDDED, mask_zero=True)(source)
    both = layers.Bidirectional(layers.GRU(UNITS, return_sequences=True, return_state=True))
    memory, forward, backward = both(embedded)
    state = layers.Concatenate()([forward, backward])
    y = layers.GRU(2 * UNITS, return_sequences=True)(
        layers.Embedding(SYMBOLS, EMBEDDED, mask_zero=True)(target), initial_state=state
    )
    y = layers.Concatenate()([y, layers.Attention()([y, memory])])
    model = keras.Model([source, target], layers.Dense(SYMBOLS, activation="softmax")(y))
    return model, keras.Model(source, [state, memory])


def convert_both(folder: Path) -> tuple[Path, Path]:
    """Return the encoder graph of a bundle, and tf2onnx's of the same layers."""
    import tensorflow as tf
    import tf2onnx

    from s2s_export import ExportOptions, export

    model, encoder = build()
    export(model, folder / "ours.s2s", ExportOptions(start_id=1, end_ids=(2,), max_length=3))
    plain = folder / "plain.onnx"
    signature = [tf.TensorSpec((None, None), tf.int32, name="source")]
    run = tf.function(lambda source: encoder(source, training=False), input_signature=signature)
    tf2onnx.convert.from_function(run, input_signature=signature, opset=18, output_path=str(plain))
    return folder / "ours.s2s" / "encoder.onnx", plain


def sentences() -> np.ndarray:
    """Ids (batch, time) of sentences of 5 to LONGEST tokens, padded with 0."""
    rng = np.random.default_rng(0)
    ids = rng.integers(1, SYMBOLS, (BATCH, LONGEST))
    lengths = rng.integers(5, LONGEST + 1, BATCH)
    lengths[0] = LONGEST
    ids[np.arange(LONGEST) >= lengths[:, None]] = 0
    return ids


def measure(ours: Path, plain: Path, repeats: int, threads: int) -> dict[str, Any]:
    """Median milliseconds of both graphs, run in turn, after comparing what they give."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    sessions = [onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"]) for path in (ours, plain)]
    ids = sentences()
    feeds = [{"source": ids.astype(np.int64)}, {"source": ids.astype(np.int32)}]
    made = [session.run(None, feed) for session, feed in zip(sessions, feeds, strict=True)]
    difference = max(float(np.abs(one - other).max()) for one, other in zip(made[0][:2], made[1], strict=True))
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for session, feed, found in zip(sessions, feeds, times, strict=True):
            began = time.perf_counter()
            session.run(None, feed)
            found.append(1000 * (time.perf_counter() - began))
    medians = [statistics.median(found) for found in times]
    return {
        "batch": BATCH,
        "time": LONGEST,
        "units": UNITS,
        "threads": threads,
        "repeats": repeats,
        "largest_difference": difference,
        "ours_ms": medians[0],
        "plain_tf2onnx_ms": medians[1],
        "times_faster": medians[1] / medians[0],
    }


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("-o", "--output", type=Path, help="file to write; default: standard output")
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(*convert_both(Path(folder)), arguments.repeats, arguments.threads)
    text = json.dumps(found, indent=2)
    if arguments.output is None:
        sys.stdout.write(text + "\n")
    else:
        arguments.output.write_text(text + "\n", encoding="utf-8")
    if found["largest_difference"] > 1e-4:
        sys.exit("error: the two graphs give different numbers")


if __name__ == "__main__":
    main()

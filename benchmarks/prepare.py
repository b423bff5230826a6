"""What all peers decode: weights, a bundle, sources, and the tokens that have to come out.

Needs TensorFlow, Keras and the exporter; `compare.py` runs it in a process of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from peers.interface import BUNDLE_FOLDER, Problem, Weights

SOURCE_SIZE, TARGET_SIZE, UNITS = 71, 93, 256
SOURCE_LENGTH, STEPS, SENTENCES = 16, 30, 256
START_ID, END_ID, PADDING_ID = 0, 1, 0

# Nearer to a tie than this, rounding decides: such sentences aren't asked of anybody.
MIN_MARGIN = 1e-3


def prepare(
    folder: Annotated[Path, typer.Argument(help="Existing folder to write into.")],
    model: Annotated[Path | None, typer.Option(help="A trained canonical translator; else random weights.")] = None,
) -> None:
    """Write weights.npz, problem.json and model.s2s."""
    from s2s_training.quiet import import_quietly

    import_quietly()
    weights, start = (random_weights(seed=1), START_ID) if model is None else _trained(model)
    weights.write(folder)
    sources, expected = choose_sources(weights, start, SENTENCES, seed=2)
    name = "random weights" if model is None else model.parent.name + "/" + model.name
    Problem(name, start, STEPS, sources, expected).write(folder)
    _export(weights, start, folder / BUNDLE_FOLDER)


def random_weights(seed: int) -> Weights:
    """Weights of the canonical shape whose outputs vary from sentence to sentence and from step to step.

    The start symbol is made as unlikely as training makes it.
    """
    random = np.random.default_rng(seed)

    def normal(rows: int, columns: int, scale: float) -> NDArray[np.float32]:
        return (random.normal(size=(rows, columns)) * scale).astype(np.float32)

    bias = np.zeros(4 * UNITS, np.float32)
    bias[UNITS : 2 * UNITS] = 1.0  # the forget gate's, as Keras starts it
    dense_bias = np.zeros(TARGET_SIZE, np.float32)
    dense_bias[START_ID] = -20.0
    return Weights(
        encoder_kernel=normal(SOURCE_SIZE, 4 * UNITS, 1.0),
        encoder_recurrent=normal(UNITS, 4 * UNITS, UNITS**-0.5),
        encoder_bias=bias,
        decoder_kernel=normal(TARGET_SIZE, 4 * UNITS, 1.0),
        decoder_recurrent=normal(UNITS, 4 * UNITS, UNITS**-0.5),
        decoder_bias=bias,
        dense_kernel=normal(UNITS, TARGET_SIZE, 0.5),
        dense_bias=dense_bias,
    )


def choose_sources(weights: Weights, start: int, count: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Random sentences, padded, none of which comes near a tie at any step; and their tokens."""
    random = np.random.default_rng(seed)
    sources = random.integers(1, weights.source_size, size=(8 * count, SOURCE_LENGTH))
    lengths = random.integers(SOURCE_LENGTH // 2, SOURCE_LENGTH + 1, size=len(sources))
    sources[np.arange(SOURCE_LENGTH) >= lengths[:, None]] = PADDING_ID
    tokens, margins = decode(weights, sources, start, STEPS)
    clear = np.flatnonzero(margins > MIN_MARGIN)[:count]
    if len(clear) < count:
        raise RuntimeError(f"{len(clear)} of {len(sources)} random sentences stay clear of ties, {count} are needed")
    return sources[clear], tokens[clear]


def decode(
    weights: Weights, sources: NDArray[np.int64], start: int, steps: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The reference: greedy decoding in float64, written down once more from the equations.

    Returns:
        Tokens (sentences, steps); for each sentence the least lead that the likeliest token ever had over the second.
    """
    w = {name: value.astype(np.float64) for name, value in vars(weights).items()}
    state_h = state_c = np.zeros((len(sources), weights.units))
    for column in sources.T:
        gates = w["encoder_kernel"][column] + w["encoder_bias"] + state_h @ w["encoder_recurrent"]
        state_h, state_c = _lstm(gates, state_c)
    token, tokens, leads = np.full(len(sources), start), [], []
    for _ in range(steps):
        gates = w["decoder_kernel"][token] + w["decoder_bias"] + state_h @ w["decoder_recurrent"]
        state_h, state_c = _lstm(gates, state_c)
        logits = state_h @ w["dense_kernel"] + w["dense_bias"]
        second, first = np.partition(logits, -2, axis=1)[:, -2:].T
        leads.append(first - second)
        token = logits.argmax(axis=1)
        tokens.append(token)
    return np.stack(tokens, axis=1), np.min(leads, axis=0)


def _lstm(gates: NDArray[np.float64], state_c: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    i, f, c, o = np.split(gates, 4, axis=1)
    state_c = _sigmoid(f) * state_c + _sigmoid(i) * np.tanh(c)
    return _sigmoid(o) * np.tanh(state_c), state_c


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1.0 / (1.0 + np.exp(-x))


def _trained(path: Path) -> tuple[Weights, int]:
    """Weights of a trained canonical translator and the id of its start symbol."""
    import keras

    from s2s_runtime.vocabulary import VocabularyFile

    model = keras.models.load_model(path)
    vocabulary = VocabularyFile.read(path.parent / "vocab.json")
    lstms = [layer for layer in model.layers if isinstance(layer, keras.layers.LSTM)]
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    if len(lstms) != 2 or len(dense) != 1 or vocabulary.target is None or vocabulary.target.start_id is None:
        raise typer.BadParameter(f"{path}: not the canonical translator (two LSTM, one Dense, a start symbol)")
    encoder, decoder = lstms
    arrays = [*encoder.get_weights(), *decoder.get_weights(), *dense[0].get_weights()]
    return Weights(*arrays), vocabulary.target.start_id


def _export(weights: Weights, start: int, path: Path) -> None:
    from peers.keras_tutorial import build_training_model

    from s2s_export.exporter import export
    from s2s_export.options import ExportOptions

    options = ExportOptions(
        start_id=start,
        end_ids=(END_ID,),
        padding=str(PADDING_ID),
        source_length=SOURCE_LENGTH,
        source_kind="one-hot",
        max_length=STEPS,
    )
    export(build_training_model(weights), path, options)


if __name__ == "__main__":
    typer.run(prepare)

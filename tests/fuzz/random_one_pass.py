"""Random models to which nothing is fed back, exported and decoded against Keras's own `predict`.

A case says how the model is built, part by part: what its sources are, the layers from there on (recurrent ones in one
direction or both, convolutions, attention over itself, what pools and repeats), how they are merged and nested, masks,
and what comes out: one output, or several, of all positions and of the whole source. Sources of several lengths go
through the bundle together and one by one; causal models are followed reading by reading too.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from harness import BrokenPromiseError, Case, Harness
from random_models import Parts, exported_once_saved, prepare

SOURCE, TARGET, LENGTH, REPEATED = 9, 8, 6, 4  # ids of either side, steps of the source, and of a repeated vector
CELLS = ("LSTM", "GRU", "SimpleRNN", "RNN(LSTMCell)", "RNN(stacked)")
PARTS = (
    *("one", "both", "both", "back"),
    *("dense", "norm", "dropout", "time_distributed", "conv", "causal_conv", "batch_norm", "residual", "gated"),
    *("attention", "nested", "separable_conv", "grouped_conv", "two_ways"),
)
HEADS = ("tokens", "values", "tokens of all", "values of all", "states")
ENDS = ("none", "none", "none", "none", "repeat", "flat", "last", "pooled")


def make(random: Random) -> Case:
    """Draw the parts of a model."""
    return {
        "seed": random.randrange(10**6),
        "source": random.choice(["ids", "ids", "ids", "one-hot", "values", "values", "two ids", "ids and vector"]),
        "fixed": random.random() < 0.4,
        "mask": random.random() < 0.5,
        "cell": random.choice(CELLS),
        "merge": random.choice(["concat", "sum", "ave", "mul"]),
        "parts": [random.choice(PARTS) for _ in range(random.choice([1, 1, 2, 3, 4]))],
        "end": random.choice(ENDS),
        "after": [random.choice(PARTS) for _ in range(random.choice([0, 0, 1]))],
        "nested": random.random() < 0.15,
        "output": random.choice(["softmax", "softmax", "logits", "time_distributed", "activation", "values", "two"]),
        "beside": [random.choice(HEADS) for _ in range(random.choice([0, 0, 1, 2]))],
    }


class Builder(Parts):
    """Builds the model of one pass of a case."""

    def __init__(self, case: Case) -> None:
        super().__init__(case, units=5)

    def model(self) -> Any:
        """Return the model."""
        case, layers, keras = self.case, self.layers, self.keras
        inputs, x, vector = self.source()
        for part in case["parts"]:
            x = self.part(part, x)
        if vector is not None:
            x = layers.Add()([x, layers.Reshape((1, int(x.shape[-1])))(layers.Dense(int(x.shape[-1]))(vector))])
        x = self.end(x)
        for part in case["after"] if len(x.shape) == 3 else ():
            x = self.part(part, x)
        if case["nested"]:
            inner = keras.Model(inputs, x, name="inner")
            inputs = [keras.Input(one.shape[1:], dtype=one.dtype, name=f"outer_{one.name}") for one in inputs]
            x = inner(inputs if len(inputs) > 1 else inputs[0])
        first = self.output(x)
        beside = [] if isinstance(first, list) else self.beside(x)
        return keras.Model(inputs, [first, *beside] if beside else first)

    def source(self) -> tuple[list[Any], Any, Any]:
        """Return the inputs, their sequence, and the vector among them, or None."""
        case, layers, keras = self.case, self.layers, self.keras
        kind, length = case["source"], LENGTH if case["fixed"] else None
        if kind in ("one-hot", "values"):
            rows = keras.Input((length, SOURCE if kind == "one-hot" else 3), name="source")
            return [rows], layers.Masking()(rows) if case["mask"] else rows, None
        ids = [keras.Input((length,), dtype="int32", name="source")]
        x = layers.Embedding(SOURCE, 5, mask_zero=case["mask"])(ids[0])
        if kind == "two ids":
            ids.append(keras.Input((length,), dtype="int32", name="shapes"))
            x = layers.Concatenate()([x, layers.Embedding(4, 3, mask_zero=case["mask"])(ids[1])])
        if kind == "ids and vector":
            vector = keras.Input((4,), name="vector")
            return [*ids, vector], x, vector
        return ids, x, None

    def part(self, kind: str, x: Any) -> Any:
        """Return a sequence after one part that keeps its steps."""
        layers = self.layers
        if kind == "both" and self.case["cell"] != "RNN(stacked)":
            return layers.Bidirectional(self.cell(return_sequences=True), merge_mode=self.case["merge"])(x)
        if kind in ("one", "both", "back"):
            return self.cell(return_sequences=True, go_backwards=kind == "back")(x)
        if kind == "two_ways":
            return layers.Concatenate()([self.cell(return_sequences=True)(x), layers.Dense(3, activation="relu")(x)])
        if kind == "attention":
            return layers.Add()([x, layers.MultiHeadAttention(2, 3)(x, x)])
        return self.layer(kind, x)

    def end(self, x: Any) -> Any:
        """Return the sequence, or what comes of the whole of it."""
        layers, kind = self.layers, self.case["end"]
        if kind == "repeat":
            x = layers.RepeatVector(REPEATED)(self.cell()(x))
            if self.case["cell"] == "RNN(stacked)":
                return self.cell(return_sequences=True, go_backwards=True)(x)
            return layers.Bidirectional(self.cell(return_sequences=True), merge_mode=self.case["merge"])(x)
        if kind == "flat" and x.shape[1] is not None:
            return layers.Reshape((REPEATED, 5))(layers.Dense(REPEATED * 5)(layers.Flatten()(x)))
        if kind == "last":
            return self.cell()(x)
        return layers.GlobalAveragePooling1D()(x) if kind == "pooled" else x

    def output(self, x: Any) -> Any:
        """Return the model's outputs."""
        layers, kind = self.layers, self.case["output"]
        if kind == "values":
            return layers.Dense(2)(x)
        if kind == "time_distributed" and len(x.shape) == 3:
            return layers.TimeDistributed(layers.Dense(TARGET, activation="softmax"))(x)
        if kind == "activation":
            return layers.Activation("softmax")(layers.Dense(TARGET)(x))
        last = layers.Dense(TARGET, activation=None if kind == "logits" else "softmax", name="main")(x)
        return [last, layers.Dense(3, name="other")(x)] if kind == "two" else last

    def beside(self, x: Any) -> list[Any]:
        """Return the outputs beside the first."""
        layers, made = self.layers, []
        for i, kind in enumerate(self.case.get("beside", ())):
            whole = layers.GlobalAveragePooling1D()(x) if kind.endswith("of all") and len(x.shape) == 3 else x
            if kind == "states":
                made.append(layers.LayerNormalization(name=f"beside{i}")(x))
            elif kind.startswith("tokens"):
                made.append(layers.Dense(3 + i, activation="softmax", name=f"beside{i}")(whole))
            else:
                made.append(layers.Dense(1 + i, name=f"beside{i}")(whole))
        return made


def check(case: Case) -> str:
    """Build the model, save, load and export it, and compare what its bundle gives with `predict`."""
    import keras
    from random_weights import randomise

    import s2s_runtime
    from s2s_export import ExportOptions

    keras.utils.clear_session()
    keras.utils.set_random_seed(case["seed"])
    model = Builder(case).model()
    randomise(model)
    named = {"decoder_output": "main"} if case["output"] == "two" else {}
    one_hot = {"source_kind": "one-hot"} if case["source"] == "one-hot" else {}
    ends = {"end_ids": (2,)} if case["output"] == "logits" else {}
    with tempfile.TemporaryDirectory() as folder:
        told = {**named, **one_hot, **ends, "source_length": LENGTH, "feedback": "none", "verify_sources": 4}
        exported = exported_once_saved(model, Path(folder), ExportOptions(**told))  # type: ignore[arg-type]
        if isinstance(exported, str):
            return exported
        bundle = s2s_runtime.load(Path(folder) / "model.s2s")
    if exported.manifest.kind != "one-pass":
        return f"right, {exported.manifest.kind}"
    _compare(case, model, bundle)
    several = ", several outputs" if exported.manifest.outputs else ""
    return ("right, causal" if "step" in exported.manifest.graphs else "right") + several


def _compare(case: Case, model: Any, bundle: Any) -> None:
    """Decode random sources, together and one by one; raise where something isn't as Keras gives it."""
    rng = np.random.default_rng(case["seed"])
    lengths = [int(n) for n in rng.integers(1, LENGTH + 1, 5)] if "values" not in case["source"] else [LENGTH] * 3
    rows = [_row(rng, case, length) for length in lengths]
    made = []  # of each row, what each output is
    for row in rows:
        filled = LENGTH if case["fixed"] else bundle.manifest.padding.length or 0
        arrays = [_for_keras(column, case, filled) for column in row]
        outputs = model.predict(arrays if len(arrays) > 1 else arrays[0], verbose=0)
        outputs = [np.asarray(output)[0] for output in (outputs if isinstance(outputs, list) else [outputs])]
        made.append([output[None] if output.ndim == 1 else output for output in outputs])
    names = bundle.manifest.source.names
    columns = [list(column) for column in zip(*rows, strict=True)]
    given = dict(zip(names, columns, strict=True)) if len(names) > 1 else columns[0]
    calls = [(given, list(enumerate(rows)))]
    for index, row in enumerate(rows):
        alone = {name: [column] for name, column in zip(names, row, strict=True)} if len(names) > 1 else [row[0]]
        calls.append((alone, [(index, row)]))
    for inputs, decoded in calls:
        found = _all_outputs(bundle, inputs)
        for name, results in found.items():
            target = (bundle.manifest if name is None else bundle.manifest.of_output(name)).target
            place = (
                0 if name is None else [output._keras_history.operation.name for output in model.outputs].index(name)
            )
            for result, (index, row) in zip(results, decoded, strict=True):
                own = made[index][place]
                cut = own[: len(row[0])] if bundle.manifest.padding.masked and target.aligned else own
                _compare_output(target, result, cut)


def _all_outputs(bundle: Any, inputs: Any) -> dict[str | None, Any]:
    """Return what a call gives for each output by its name; None stands for the one of bundles that give one."""
    names = bundle.manifest.output_names or (None,)
    if bundle.manifest.target.feedback == "value":
        found = bundle.predict(inputs)
        return found if names[0] is not None else {None: found}
    results = bundle.generate(inputs, return_token_scores=True)
    return {names[0]: results, **{name: [result.outputs[name] for result in results] for name in names[1:]}}


def _compare_output(target: Any, result: Any, output: np.ndarray) -> None:
    """Raise where an output of a row is another than Keras's."""
    if target.feedback == "value":
        if not np.allclose(result[: len(output)], output, atol=1e-4):
            raise BrokenPromiseError(f"values differ by {np.abs(result[: len(output)] - output).max()}")
        return
    shares = (output >= 0).all() and np.allclose(output.sum(-1), 1, atol=1e-3)
    shifted = output - output.max(axis=-1, keepdims=True)
    scores = np.log(output) if shares else shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    best = scores.argmax(-1).tolist()
    ends = [position for position, token in enumerate(best) if token in target.end_ids]
    best = best[: ends[0]] if ends else best
    for position, (token, expected) in enumerate(zip(result.ids, best, strict=False)):
        if token != expected and scores[position, expected] - scores[position, token] > 1e-4:
            raise BrokenPromiseError(f"position {position}: {token} in place of {expected}")
        if token != expected:
            return  # a near tie
    if len(result.ids) != len(best):
        raise BrokenPromiseError(f"{len(result.ids)} positions in place of {len(best)}")


def _row(rng: np.random.Generator, case: Case, length: int) -> list[np.ndarray]:
    if case["source"] == "values":
        return [rng.normal(size=(length, 3)).astype(np.float32)]
    row = [rng.integers(1, SOURCE, length)]
    if case["source"] == "two ids":
        row.append(rng.integers(1, 4, length))
    return [*row, rng.normal(size=4).astype(np.float32)] if case["source"] == "ids and vector" else row


def _for_keras(column: np.ndarray, case: Case, length: int) -> np.ndarray:
    """Return one row as Keras reads it, filled with zeros on the right up to a length."""
    if column.dtype == np.float32 and column.ndim == 1:
        return column[None]
    if case["source"] == "one-hot":
        column = np.eye(SOURCE, dtype=np.float32)[column]
    missing = max(0, length - len(column))
    return np.pad(column, [(0, missing), *[(0, 0)] * (column.ndim - 1)])[None]


HARNESS = Harness(
    name="random models of one pass", make=make, check=check, prepare=prepare, share=2.0, seconds=120.0, memory=4 << 30
)

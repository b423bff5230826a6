"""Random encoder-decoders, exported and decoded against the training model re-fed with its own growing prefix.

A case says how the model is built, part by part, so that a case that failed is a file that builds it again: what the
source is, layers before the recurrent ones, cells, directions and how they are merged, how states reach the decoder,
attention, layers between, nested models and shared layers, masks, and what comes out. What can't be exported has to be
refused by one true reason, which is its outcome here.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Any

from harness import BrokenPromiseError, Case, Harness
from places import ROOT

SOURCE, TARGET, LENGTH, STEPS = 9, 8, 5, 6  # ids of either side, steps of the source, longest target
CELLS = ("LSTM", "GRU", "SimpleRNN", "RNN(LSTMCell)", "RNN(stacked)", "RNN(own cell)")
BEFORE = (
    "dense",
    "norm",
    "dropout",
    "time_distributed",
    "conv",
    "batch_norm",
    "activation",
    "gaussian_noise",
    "nested",
)
BETWEEN = ("dense", "norm", "dropout", "time_distributed", "batch_norm", "activation", "residual", "nested", "gated")
ATTENTION = ("none", "none", "dot", "additive", "multi_head", "grouped", "by_hand", "by_hand_permuted", "context")


def make(random: Random) -> Case:
    """Draw the parts of a model in which what is decoded depends on the source."""
    while True:
        case = _drawn(random)
        attends = case["source"] != "vector" and case["attention"] != "none"
        if case["states"] != "none" or attends or case["attention"] == "context":
            return case


def _drawn(random: Random) -> Case:
    return {
        "seed": random.randrange(10**6),
        "source": random.choice(["ids", "ids", "ids", "one-hot", "values", "vector", "two ids", "ids and vector"]),
        "target": random.choice(["ids", "ids", "ids", "one-hot", "values"]),
        "fixed": [random.random() < 0.3, random.random() < 0.2],
        "mask": random.random() < 0.5,
        "before": random.sample(BEFORE, random.choice([0, 0, 1, 2])),
        "cell": random.choice(CELLS),
        "encoder": [
            {
                "direction": random.choice(["one", "one", "both", "back"]),
                "merge": random.choice(["concat", "sum", "ave", "mul"]),
            }
            for _ in range(random.choice([1, 1, 2, 3]))
        ],
        "decoder": random.choice([1, 1, 2, 3]),
        "states": random.choice(["last", "last", "all", "dense", "none", "first"]),
        "attention": random.choice(ATTENTION),
        "attention_at": random.choice(["after", "after", "before"]),
        "between": random.sample(BETWEEN, random.choice([0, 0, 1, 2])),
        "shared": random.random() < 0.15,
        "nested": random.choice(["no", "no", "no", "encoder", "decoder"]),
        "return_state": random.random() < 0.5,
        "output": random.choice(["softmax", "softmax", "logits", "time_distributed", "activation", "two heads"]),
    }


class Parts:
    """Builds the parts of a case's model, those of an encoder-decoder and of a model of one pass."""

    def __init__(self, case: Case, units: int) -> None:
        import keras

        self.case, self.keras, self.layers, self.ops = case, keras, keras.layers, keras.ops
        self.units = units

    def cell(self, **options: Any) -> Any:
        """Return a recurrent layer of the case's cell."""
        from architectures.own_cells import BareCell

        layers, units = self.layers, self.units
        kind = self.case["cell"]
        if kind == "RNN(LSTMCell)":
            return layers.RNN(layers.LSTMCell(units), **options)
        if kind == "RNN(stacked)":
            return layers.RNN([layers.GRUCell(units), layers.GRUCell(units)], **options)
        if kind == "RNN(own cell)":
            return layers.RNN(BareCell(units), **options)
        return getattr(layers, kind)(units, **options)

    def layer(self, kind: str, x: Any) -> Any:
        """Return a sequence after a layer that keeps its steps."""
        layers, size = self.layers, int(x.shape[-1])
        simple = {
            "dense": lambda: layers.Dense(size, activation="tanh"),
            "norm": layers.LayerNormalization,
            "dropout": lambda: layers.Dropout(0.3),
            "time_distributed": lambda: layers.TimeDistributed(layers.Dense(size, activation="relu")),
            "conv": lambda: layers.Conv1D(size, 3, padding="same"),
            "separable_conv": lambda: layers.SeparableConv1D(size, 3, padding="same"),
            "grouped_conv": lambda: layers.Conv1D(size, 3, padding="same", groups=size),
            "causal_conv": lambda: layers.Conv1D(size, 3, padding="causal"),
            "batch_norm": layers.BatchNormalization,
            "activation": lambda: layers.Activation("relu"),
            "gaussian_noise": lambda: layers.GaussianNoise(0.1),
            "nested": lambda: self.keras.Sequential([layers.Dense(size, activation="tanh"), layers.Dense(size)]),
        }
        if kind in simple:
            return simple[kind]()(x)
        wide = layers.Dense(size, activation="sigmoid" if kind == "gated" else "tanh")(x)
        return layers.Multiply()([x, wide]) if kind == "gated" else layers.Add()([x, wide])


class Builder(Parts):
    """Builds the encoder-decoder of a case."""

    def __init__(self, case: Case) -> None:
        super().__init__(case, units=6)

    def model(self) -> Any:
        """Return the training model."""
        case, keras = self.case, self.keras
        inputs, x, vector = self.source()
        encoded, states = self.encode(x, vector)
        if case["nested"] == "encoder":
            inner = keras.Model(inputs, [tensor for tensor in [encoded, *states] if tensor is not None], name="encoder")
            inputs = [keras.Input(one.shape[1:], dtype=one.dtype, name=f"outer_{one.name}") for one in inputs]
            made = keras.tree.flatten(inner(inputs if len(inputs) > 1 else inputs[0]))
            encoded, states = (made[0], made[1:]) if encoded is not None else (None, made)
        target, y = self.target()
        if case["nested"] == "decoder":
            outer = [tensor for tensor in [encoded, *states] if tensor is not None]
            given = [keras.Input(tensor.shape[1:], dtype=tensor.dtype) for tensor in outer]
            memory, starts = (given[0], given[1:]) if encoded is not None else (None, given)
            inner = keras.Model([target, *given], self.decode(y, memory, starts), name="decoder")
            target = keras.Input(target.shape[1:], dtype=target.dtype, name="outer_target")
            return keras.Model([*inputs, target], inner([target, *outer]))
        return keras.Model([*inputs, target], self.decode(y, encoded, states))

    def source(self) -> tuple[list[Any], Any, Any]:
        """Return the source's inputs, its sequence, and its vector, the latter two None where there is none."""
        case, layers, keras = self.case, self.layers, self.keras
        kind, length = case["source"], LENGTH if case["fixed"][0] else None
        vector = keras.Input((4,), name="vector") if "vector" in kind else None
        if kind == "vector":
            return [vector], None, vector
        if kind in ("one-hot", "values"):
            rows = keras.Input((length, SOURCE if kind == "one-hot" else 3), name="source")
            return [rows], layers.Masking()(rows) if case["mask"] else rows, None
        ids = [keras.Input((length,), dtype="int32", name="source")]
        self.embedding = layers.Embedding(SOURCE, 5, mask_zero=case["mask"])
        x = self.embedding(ids[0])
        if kind == "two ids":
            ids.append(keras.Input((length,), dtype="int32", name="tags"))
            x = layers.Concatenate()([x, layers.Embedding(4, 3, mask_zero=case["mask"])(ids[1])])
        return [*ids, *([] if vector is None else [vector])], x, vector

    def encode(self, x: Any, vector: Any) -> tuple[Any, list[Any]]:
        """Return the encoder's outputs, and the states that it hands on."""
        case, layers = self.case, self.layers
        count = {"LSTM": 2, "RNN(LSTMCell)": 2, "RNN(stacked)": 2}.get(case["cell"], 1)
        if x is None:
            return None, [layers.Dense(self.units, activation="tanh")(vector) for _ in range(count)]
        for kind in case["before"]:
            x = self.layer(kind, x)
        states: list[Any] = []
        for level in case["encoder"]:
            options = {"return_sequences": True, "return_state": True}
            if level["direction"] == "both" and case["cell"] != "RNN(stacked)":
                x, *both = layers.Bidirectional(self.cell(**options), merge_mode=level["merge"])(x)
                pairs = zip(both[:count], both[count:], strict=True)
                states = [layers.Dense(self.units, activation="tanh")(layers.Concatenate()(list(two))) for two in pairs]
            else:
                x, *nested = self.cell(**options, go_backwards=level["direction"] == "back")(x)
                states = self.keras.tree.flatten(nested)
        if vector is not None:
            states = [layers.Add()([state, layers.Dense(self.units)(vector)]) for state in states]
        return x, states

    def target(self) -> tuple[Any, Any]:
        """Return the decoder's input, and its sequence."""
        case, layers, keras = self.case, self.layers, self.keras
        length = STEPS if case["fixed"][1] else None
        if case["target"] != "ids":
            size = TARGET if case["target"] == "one-hot" else 2
            rows = keras.Input((length, size), name="target")
            return rows, rows
        ids = keras.Input((length,), dtype="int32", name="target")
        if case["shared"] and case["source"] == "ids":
            return ids, self.embedding(ids)
        return ids, layers.Embedding(TARGET, 5, mask_zero=case["mask"])(ids)

    def decode(self, y: Any, memory: Any, states: list[Any]) -> Any:
        """Return the decoder's output."""
        case, layers = self.case, self.layers
        if case["states"] == "dense":
            states = [layers.Dense(self.units, activation="tanh")(state) for state in states]
        if case["attention_at"] == "before" and case["attention"] == "context":
            y = self.attend(y, memory, states)
        for level in range(case["decoder"]):
            started = case["states"] in ("all", "last", "dense") or (case["states"] == "first" and level == 0)
            if case["states"] in ("last", "dense") and level > 0 and case["decoder"] > 2:
                started = False
            given = states
            if case["cell"] == "RNN(stacked)":
                given = [[state] for state in states]
            options = {"initial_state": given if len(states) > 1 else given[0]} if started else {}
            y = self.cell(return_sequences=True, return_state=case["return_state"])(y, **options)
            y = y[0] if case["return_state"] else y
        if not (case["attention_at"] == "before" and case["attention"] == "context"):
            y = self.attend(y, memory, states)
        for kind in case["between"]:
            y = self.layer(kind, y)
        return self.output(y)

    def attend(self, y: Any, memory: Any, states: list[Any]) -> Any:
        """Return the decoder's sequence beside what it sees of the memory."""
        layers, ops, kind = self.layers, self.ops, self.case["attention"]
        if kind == "none" or (memory is None and kind != "context"):
            return y
        if kind == "context":
            copies = ops.zeros_like(y[..., :1]) + ops.expand_dims(states[0], 1)
            return layers.Concatenate()([y, copies])
        size = int(memory.shape[-1])
        query = layers.Dense(size)(y) if int(y.shape[-1]) != size else y
        if kind in ("dot", "additive"):
            seen = (layers.Attention if kind == "dot" else layers.AdditiveAttention)()([query, memory])
        elif kind == "multi_head":
            seen = layers.MultiHeadAttention(2, 3)(query, memory)
        elif kind == "grouped":
            seen = layers.GroupQueryAttention(3, 2, 1)(query, memory)
        elif kind == "by_hand":
            weights = layers.Activation("softmax")(layers.Dot(axes=(2, 2))([query, memory]))
            seen = layers.Dot(axes=(2, 1))([weights, memory])
        else:
            weights = layers.Softmax()(layers.Permute((2, 1))(layers.Dot(axes=(2, 2))([memory, query])))
            seen = layers.Dot(axes=(2, 1))([weights, memory])
        return layers.Concatenate()([y, seen])

    def output(self, y: Any) -> Any:
        """Return the model's outputs."""
        case, layers = self.case, self.layers
        if case["target"] == "values":
            return layers.Dense(2)(y)
        kind = case["output"]
        if kind == "time_distributed":
            return layers.TimeDistributed(layers.Dense(TARGET, activation="softmax"))(y)
        if kind == "activation":
            return layers.Activation("softmax")(layers.Dense(TARGET)(y))
        last = layers.Dense(TARGET, activation=None if kind == "logits" else "softmax")(y)
        return [last, layers.Dense(3, name="other")(y)] if kind == "two heads" else last


def prepare() -> None:
    """Import what takes long."""
    builders = str(ROOT / "tests" / "builders")
    if builders not in sys.path:
        sys.path.append(builders)
    import s2s_export.exporter  # noqa: F401


def exported_once_saved(model: Any, folder: Path, options: Any) -> Any:
    """Save a model, load it and export it to `model.s2s`; return the report, or "refused: ..." where it can't be.

    A bundle that doesn't give what Keras gives breaks the promise.
    """
    from s2s_export import ExportError, export, load_model
    from s2s_training.errors import SplitError

    model.save(folder / "model.keras")
    try:
        return export(load_model(folder / "model.keras"), folder / "model.s2s", options)
    except (ExportError, SplitError) as error:
        if "do not give what Keras gives" in str(error):
            raise BrokenPromiseError(str(error)) from error
        return f"refused: {' '.join(str(error).split())[:100]}"


def check(case: Case) -> str:
    """Build the model, save and load it, export it, which verifies it, and say what came of it."""
    import keras
    from random_weights import randomise

    from s2s_export import ExportOptions

    keras.utils.clear_session()
    keras.utils.set_random_seed(case["seed"])
    model = Builder(case).model()
    randomise(model)
    fed = "outer_target" if case["nested"] == "decoder" else "target"
    tokens = {"feed": {fed: "previous"}} if case["target"] == "values" else {"start_id": 1, "end_ids": (2,)}
    length = {} if case["source"] == "vector" else {"source_length": LENGTH}
    options = ExportOptions(**tokens, **length, max_length=STEPS, verify_sources=4)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        exported = exported_once_saved(model, Path(folder), options)
    if isinstance(exported, str):
        return exported
    if not exported.report.passed:
        raise BrokenPromiseError("an export whose verification failed was written")
    return "right"


HARNESS = Harness(
    name="random models", make=make, check=check, prepare=prepare, share=2.0, seconds=120.0, memory=4 << 30
)

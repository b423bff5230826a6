"""Weights of 8 bits: what is quantised, what is measured and recorded, what is refused."""

import json
import random
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from architectures.bidirectional import bidirectional_lstm_concat
from architectures.continuous import continuous
from architectures.recurrent import gru_reset_after
from export_command import SOURCE, TARGET, fails, run
from random_weights import randomise

import s2s_runtime
from s2s_export import ExportError, ExportOptions, export
from s2s_export.convert.keras_to_onnx import all_nodes
from s2s_export.reduce.reduce_bundle import quality
from s2s_runtime import PaddingPolicy, VocabularyFile
from s2s_runtime.bundle.manifest_file import read_manifest

pytestmark = pytest.mark.tensorflow


def node_types(bundle: Path, name: str) -> set[str]:
    """The types of nodes in a graph of a bundle."""
    return {node.op_type for node in all_nodes(onnx.load(bundle / f"{name}.onnx", load_external_data=False).graph)}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder, and a float32 and an int8 bundle of its model, measured on texts with references."""
    folder = tmp_path_factory.mktemp("quantize")
    keras.utils.set_random_seed(5)
    model = bidirectional_lstm_concat()
    randomise(model)
    model.save(folder / "model.keras")
    VocabularyFile(SOURCE, TARGET, PaddingPolicy(masked=True, id=0), 9).write(folder / "vocab.json")
    lines = [f"{text}\tABC" for text in ("abc", "kid", "face", "deed", "a", "jade", "high", "bee", "cafe", "feed")]
    (folder / "pairs.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert run(folder / "model.keras", "-o", folder / "float32.s2s")[0] == 0
    for kind, more in (("int8", ()), ("int8-weights", ("--time-batch", "3"))):
        measured = ("--quantize", kind, "--verify-with", folder / "pairs.tsv", *more)
        code, shown, errors = run(folder / "model.keras", "-o", folder / f"{kind}.s2s", *measured)
        assert code == 0, errors
        assert f"{kind} beside float32, on 10 sentences given" in shown
    assert re.search(r"note: fastest for batches of 3: (float32|int8), not int8-weights|3: int8-weights$", shown, re.M)
    return folder


@pytest.mark.parametrize(("kind", "product"), [("int8", "MatMulIntegerToFloat"), ("int8-weights", "MatMulNBits")])
def test_every_graph_has_products_of_8_bits(saved: Path, kind: str, product: str) -> None:
    """LSTMs and matrix products, in the loops of whole searches too; the file of weights is the smaller for it."""
    for name in ("encoder", "decoder", "greedy", "beam"):
        assert product in node_types(saved / f"{kind}.s2s", name)
    assert "LSTM" not in node_types(saved / f"{kind}.s2s", "encoder")
    weights = [(saved / f"{name}.s2s" / "weights.bin").stat().st_size for name in ("float32", kind)]
    assert weights[1] < weights[0]


def test_the_manifest_says_what_it_is_and_what_it_cost(saved: Path) -> None:
    """Precision, and for each search what changed, with error rates before and after where there are references."""
    manifest = read_manifest(saved / "int8.s2s")
    assert manifest.precision == "int8"
    assert read_manifest(saved / "float32.s2s").precision == "float32"
    found = manifest.verification["quantization"]
    assert found["inputs"] == "10 sentences given"
    assert [each["search"] for each in found["searches"]] == ["greedy", "beam 5"]
    texts = [line.split("\t")[0] for line in (saved / "pairs.tsv").read_text(encoding="utf-8").splitlines()]
    decoded = {
        name: [r.text for r in s2s_runtime.load(saved / f"{name}.s2s").generate(texts)] for name in ("float32", "int8")
    }
    changed = sum(a != b for a, b in zip(decoded["float32"], decoded["int8"], strict=True))
    assert found["searches"][0]["sentences_changed"] == changed
    assert found["searches"][0]["error_rate_before"] == np.mean([text != "ABC" for text in decoded["float32"]])
    assert found["searches"][0]["error_rate_after"] == np.mean([text != "ABC" for text in decoded["int8"]])


@pytest.mark.parametrize("options", [{"return_scores": True}, {"beam_size": 3}, {"beam_size": 3, "engine": "steps"}])
def test_a_result_depends_on_its_sentence_alone(saved: Path, options: dict[str, Any]) -> None:
    """Whole batches, one by one, in another order, in batches of three: the same tokens, and scores to the last bit."""
    model, rng = s2s_runtime.load(saved / "int8.s2s"), random.Random(3)
    texts = ["".join(rng.choices("abcdefghijk", k=rng.randint(1, 9))) for _ in range(40)]
    whole = told(model, texts, **options)
    assert len(set(whole)) > 10  # not all the same
    assert [told(model, [text], **options)[0] for text in texts] == whole
    mixed = random.Random(4).sample(texts, len(texts))
    assert told(model, mixed, max_batch_size=3, **options) == [whole[texts.index(text)] for text in mixed]


def told(model: s2s_runtime.Model, texts: list[str], **options: Any) -> list[tuple[tuple[int, ...], float | None]]:
    return [(tuple(result.ids), result.score) for result in model.generate(texts, max_length=9, **options)]


@pytest.mark.parametrize("kind", ["int8", "int8-weights"])
def test_engines_agree_on_integers_too(saved: Path, kind: str) -> None:
    """Either engine, greedy and with beams: the same tokens."""
    model = s2s_runtime.load(saved / f"{kind}.s2s")
    for options in ({}, {"beam_size": 3}):
        graph, steps = (model.generate(["abc", "kid"], **options, engine=engine) for engine in ("graph", "steps"))
        assert [result.ids for result in graph] == [result.ids for result in steps]


@pytest.mark.parametrize("kind", ["int8", "int8-weights"])
def test_probabilities_stay_near(saved: Path, kind: str) -> None:
    """What 8 bits change in the probability of given targets is small beside what targets differ by."""
    texts = ["abc", "kid", "face", "deed", "a", "jade", "high", "bee", "cafe", "feed"]
    before, after = (
        np.array([r.score for r in s2s_runtime.load(saved / f"{name}.s2s").score(texts, ["ABC"] * 10)])
        for name in ("float32", kind)
    )
    assert np.ptp(before) > 0.15
    np.testing.assert_allclose(after, before, atol=0.02)


def test_grus_are_quantised_too(tmp_path: Path) -> None:
    """Encoder and decoder, measured on generated sources; the ranges that were taken stand in the manifest."""
    exported = export(
        gru_reset_after(), tmp_path / "m.s2s", ExportOptions(start_id=1, end_ids=(2,), max_length=5, quantize="int8")
    )
    for name in ("encoder", "decoder", "greedy"):
        assert "MatMulIntegerToFloat" in node_types(tmp_path / "m.s2s", name)
    assert "GRU" not in node_types(tmp_path / "m.s2s", "encoder")
    found = json.loads((tmp_path / "m.s2s" / "manifest.json").read_text(encoding="utf-8"))["verification"][
        "quantization"
    ]
    assert found["inputs"] == "24 generated sources"
    assert "error_rate_before" not in found["searches"][0]
    assert 0 < found["largest"]["decoder"]["state.0"] <= 1
    assert exported.manifest.precision == "int8"


def test_what_changed_is_counted_in_edits(saved: Path) -> None:
    """A model beside itself changes nothing; beside one whose targets are cut short, every token that is missing."""
    model = s2s_runtime.load(saved / "float32.s2s")

    class Shorter:
        def generate(self, inputs: list[str], **options: int) -> list[s2s_runtime.Result]:
            """Two tokens at most."""
            return model.generate(inputs, **{**options, "max_length": 2})

    same, _ = quality((model, model), ["abc", "kid"], [], 9)
    assert (same.sentences_changed, same.tokens_changed) == (0, 0)
    cut, _ = quality((model, Shorter()), ["abc", "kid"], [], 9)  # type: ignore[arg-type]
    lengths = [len(result.ids) for result in model.generate(["abc", "kid"], max_length=9)]
    assert cut.tokens == sum(lengths)
    assert cut.tokens_changed == sum(max(0, length - 2) for length in lengths)


def test_refusals(tmp_path: Path, saved: Path) -> None:
    """Values, references without a vocabulary or of another number: one line each, nothing written."""
    with pytest.raises(ExportError, match="quantize: this model gives values, whose loss by int8 isn't measured"):
        export(
            continuous(), tmp_path / "v.s2s", ExportOptions(max_length=3, quantize="int8", feed={"shifted": "previous"})
        )
    with pytest.raises(ExportError, match=r"references: expected one for each text of verify_with \(2\), got 1"):
        ExportOptions(verify_with=("a", "b"), references=("A",))
    with pytest.raises(ExportError, match=r"^quantize: expected 'int8' or 'int8-weights', got 'int4'$"):
        ExportOptions(quantize="int4")  # type: ignore[arg-type]
    with pytest.raises(ExportError, match="time_batch: expected quantize beside it, got none"):
        ExportOptions(time_batch=8)
    (tmp_path / "pairs.tsv").write_text("abc\tXYZ\n", encoding="utf-8")
    fails(
        [
            saved / "model.keras",
            "-o",
            tmp_path / "r.s2s",
            "--quantize",
            "int8",
            "--verify-with",
            tmp_path / "pairs.tsv",
        ],
        "'X'",
    )
    assert not list(tmp_path.glob("*.s2s"))


class Places(keras.layers.Layer):
    """Adds an embedding of their places to what is read, of which its table knows no more than so many."""

    def __init__(self, most: int, **kwargs: Any) -> None:
        """Make the table."""
        super().__init__(**kwargs)
        self.supports_masking = True
        self.table = keras.layers.Embedding(most, 16)

    def call(self, read: Any) -> Any:
        """Return (batch, time, 16)."""
        return read + self.table(keras.ops.arange(keras.ops.shape(read)[1]))

    def compute_output_shape(self, shape: Any) -> Any:
        """Return the shape of what is read."""
        return shape


@pytest.mark.parametrize("options", [{"quantize": "int8"}, {"dtype": "float16"}], ids=str)
def test_what_is_generated_is_no_longer_than_the_model_reads(options: dict[str, Any], tmp_path: Path) -> None:
    """A table of places ends; what is measured stays below as what is verified does, and both say so."""
    source, target = keras.Input((None,), name="source"), keras.Input((None,), name="target")
    read = Places(12)(keras.layers.Embedding(9, 16, mask_zero=True)(source))
    _, *states = keras.layers.LSTM(16, return_state=True)(read)
    made = keras.layers.LSTM(16, return_sequences=True)(keras.layers.Embedding(7, 16)(target), initial_state=states)
    model = keras.Model([source, target], keras.layers.Dense(7)(made))
    exported = export(model, tmp_path / "m.s2s", start_id=1, end_ids=(2,), max_length=4, verify_sources=3, **options)
    told = "3 generated sources of at most 12 steps, as the model reads no longer ones"
    assert exported.report.inputs == told
    assert exported.manifest.verification["quantization"]["inputs"] == told

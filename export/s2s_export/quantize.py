"""Eight-bit integer weights: the graphs, and what they cost in quality.

onnxruntime's dynamic quantisation: the weights of matrix products and LSTMs become int8 with one scale per column (per
gate and unit in LSTMs), activations become uint8 as they come, with one scale for the whole tensor. A row's numbers so
depend on the rows beside it: with int8 a sentence's result may change with the batch it is in. GRU and SimpleRNN
layers of the encoder have no integer form in onnxruntime and stay float32.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from s2s_export.convert import all_nodes
from s2s_export.errors import ExportError
from s2s_export.graphs import Graphs, with_searches
from s2s_export.options import ExportOptions
from s2s_export.samples import encoded, for_runtime, generated
from s2s_export.understand import Understanding
from s2s_export.verify import BEAM_SIZE, UNKNOWN_LENGTH
from s2s_export.write import write_graphs
from s2s_runtime import Model, load
from s2s_runtime.bundle import Manifest, write_manifest
from s2s_runtime.error_rates import edit_distance, error_rates

_INTEGER_NODES = ("MatMulInteger", "DynamicQuantizeLSTM")


def quantize_bundle(
    folder: Path, graphs: Graphs, manifest: Manifest, facts: Understanding, options: ExportOptions
) -> tuple[Graphs, Manifest]:
    """Replaces the graphs in the folder of a verified bundle by int8 ones, and measures what that changes.

    Args:
        folder: the bundle that was verified, its manifest written.
        graphs: its graphs.
        manifest: of it.
        facts: how the model was understood.
        options: the texts and references to measure with; without texts, on generated sources.

    Returns:
        the graphs and the manifest that the folder has now; the manifest is not written yet.

    Raises:
        ExportError: see `quantized`; or a reference holds a symbol that the target vocabulary lacks.
    """
    sentences = encoded(options.verify_with, facts) if options.verify_with else generated(facts)
    references = _references(options.references, facts)
    with tempfile.TemporaryDirectory() as original:
        shutil.copytree(folder, original, dirs_exist_ok=True)
        for file in [*manifest.graphs.values(), *([manifest.weights] if manifest.weights else [])]:
            (folder / file.file).unlink()
        made = quantized(graphs, facts)
        files, weights = write_graphs(folder, made.models)
        changed = replace(manifest, graphs=files, weights=weights, precision="int8")
        write_manifest(folder, changed)
        with load(original) as before, load(folder) as after:
            found = quality((before, after), for_runtime(sentences, facts), references, facts.target.max_length)
    measured = {
        "inputs": f"{len(sentences)} {'sentences given' if options.verify_with else 'generated sources'}",
        "bytes_before": sum(file.bytes for file in (*manifest.graphs.values(), manifest.weights) if file),
        "searches": [each.to_dict() for each in found],
    }
    return made, replace(changed, verification={**manifest.verification, "quantization": measured})


def _references(texts: Sequence[str], facts: Understanding) -> list[list[int]]:
    if texts and facts.target_vocabulary is None:
        raise ExportError("references to measure with need a target vocabulary: give --vocab FILE")
    return [facts.target_vocabulary.encode(text) for text in texts] if facts.target_vocabulary else []


def quantized(graphs: Graphs, facts: Understanding) -> Graphs:
    """The same graphs with int8 weights.

    Raises:
        ExportError: there is no weight that could be quantised, or the model gives values, whose loss isn't measured.
    """
    if facts.target.feedback == "value":
        raise ExportError(
            "--quantize: this model gives values, whose loss by int8 isn't measured here; export it without --quantize"
        )
    models = {name: _quantized(graphs.models[name]) for name in ("encoder", "decoder")}
    if not any(node.op_type in _INTEGER_NODES for model in models.values() for node in all_nodes(model.graph)):
        raise ExportError("--quantize: this model has no matrix product and no LSTM with constant weights")
    return with_searches(replace(graphs, models={**graphs.models, **models}), facts)


def _quantized(model: onnx.ModelProto) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder, _without_advice():
        file = Path(folder) / "quantized.onnx"
        quantize_dynamic(
            model,
            file,
            op_types_to_quantize=["MatMul", "LSTM"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )
        return onnx.load(file)


@contextmanager
def _without_advice() -> Iterator[None]:
    """The quantiser advises on the root logger to preprocess the model, which is done here already."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


@dataclass(frozen=True)
class Quality:
    """What int8 changes in one kind of search.

    Attributes:
        search: "greedy" or "beam 5".
        sentences, sentences_changed: how many were decoded, and how many of them differ from float32's.
        tokens, tokens_changed: tokens that float32 wrote, and edits from them to int8's.
        error_rate_before, error_rate_after: share of sentences that differ from their reference, with float32 and with
            int8; None without references.
        token_error_rate_before, token_error_rate_after: edits over reference tokens; None without references.
    """

    search: str
    sentences: int
    sentences_changed: int
    tokens: int
    tokens_changed: int
    error_rate_before: float | None = None
    error_rate_after: float | None = None
    token_error_rate_before: float | None = None
    token_error_rate_after: float | None = None

    def to_dict(self) -> dict[str, object]:
        """Plain values for the manifest; what wasn't measured is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def quality(
    models: tuple[Model, Model], inputs: Any, references: Sequence[Sequence[int]], max_length: int | None
) -> list[Quality]:
    """Decodes with both models and compares.

    Args:
        models: float32, int8.
        inputs: as `Model.generate` takes them.
        references: ids of the right target of each input; empty where there are none.
        max_length: longest target, where known.
    """
    found = []
    for search, beam_size in (("greedy", 1), (f"beam {BEAM_SIZE}", BEAM_SIZE)):
        one, other = (
            [
                result.ids
                for result in model.generate(inputs, beam_size=beam_size, max_length=max_length or UNKNOWN_LENGTH)
            ]
            for model in models
        )
        edits = [edit_distance(a, b) for a, b in zip(one, other, strict=True)]
        compared = Quality(search, len(one), sum(edit > 0 for edit in edits), sum(map(len, one)), sum(edits))
        if references:
            rates = [error_rates(ids, [[list(each)] for each in references]) for ids in (one, other)]
            compared = replace(
                compared,
                error_rate_before=rates[0].sequence_error_rate,
                error_rate_after=rates[1].sequence_error_rate,
                token_error_rate_before=rates[0].token_error_rate,
                token_error_rate_after=rates[1].token_error_rate,
            )
        found.append(compared)
    return found

"""Bundles with fewer bits, int8 or float16: made of the verified float32 one, and what they cost in quality."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from s2s_export.errors import ExportError
from s2s_export.graphs.bundle_graphs import Graphs
from s2s_export.options import ExportOptions
from s2s_export.reduce.calibration import Scales, scales
from s2s_export.reduce.float16 import halved
from s2s_export.reduce.int8 import quantized
from s2s_export.reduce.timing import times
from s2s_export.understand.bundle_terms import Understanding
from s2s_export.verify.coverage import BEAM_SIZE, UNKNOWN_LENGTH
from s2s_export.verify.samples import for_runtime, in_words, sentences
from s2s_export.write import write_graphs
from s2s_runtime import Model, load
from s2s_runtime.bundle.manifest import Precision
from s2s_runtime.bundle.manifest_file import Manifest, write_manifest
from s2s_runtime.error_rates import edit_distance, error_rates
from s2s_runtime.spelling import option

_OTHER: Final[Mapping[Precision, Precision]] = {"int8": "int8-weights", "int8-weights": "int8"}


def reduce_bundle(
    folder: Path, graphs: Graphs, manifest: Manifest, facts: Understanding, options: ExportOptions
) -> tuple[Graphs, Manifest]:
    """Replace the graphs in the folder of a verified bundle by int8 or float16 ones, and measure what that changes.

    Args:
        folder: the bundle that was verified, its manifest written.
        graphs: its graphs without those of searches.
        manifest: of it.
        facts: how the model was understood.
        options: which of the two; the texts and references to measure with; without texts, on generated sources.

    Returns:
        The graphs and the manifest that the folder has now; the manifest is not written yet.

    Raises:
        ExportError: see `quantized` and `halved`; or a reference holds a symbol that the target vocabulary lacks.
    """
    given = sentences(options, facts)
    references = _references(options.references, facts)
    inputs, longest = for_runtime(given, facts), facts.target.max_length or UNKNOWN_LENGTH
    with tempfile.TemporaryDirectory() as temporary:
        original = Path(temporary) / "float32"
        shutil.copytree(folder, original)
        for file in [*manifest.graphs.values(), *([manifest.weights] if manifest.weights else [])]:
            (folder / file.file).unlink()
        beside = None if options.time_batch is None else _OTHER[options.precision]  # what is timed too
        told = scales(graphs, facts, original, given) if "int8" in (options.precision, beside) else {}
        reduced = _reduced(graphs, facts, options.precision, told)
        changed = _written(folder, reduced, manifest, options.precision)
        with load(original) as before, load(folder) as after:
            searches = quality((before, after), inputs, references, longest)
            models = {"float32": before, options.precision: after}
            timed: dict[str, object] = {}
            if options.time_batch is not None and beside is not None:
                place = Path(temporary) / beside
                place.mkdir()
                _written(place, _reduced(graphs, facts, beside, told), manifest, beside)
                with load(place) as third:
                    measured_times = times({**models, beside: third}, inputs, options.time_batch, longest)
                timed = {"timed": {"batch": options.time_batch, "milliseconds": measured_times}}
    measured = {
        "inputs": in_words(given, options, facts),
        "bytes_before": sum(file.bytes for file in (*manifest.graphs.values(), manifest.weights) if file),
        "searches": [search.to_dict() for search in searches],
        **({"largest": told} if options.precision == "int8" else {}),
        **timed,
    }
    return reduced, replace(changed, verification={**manifest.verification, "quantization": measured})


def _reduced(graphs: Graphs, facts: Understanding, precision: Precision, told: Scales) -> Graphs:
    """Return graphs of another precision than float32."""
    return halved(graphs, facts) if precision == "float16" else quantized(graphs, facts, precision, told)


def _written(folder: Path, graphs: Graphs, manifest: Manifest, precision: Precision) -> Manifest:
    """Write graphs of another precision into a folder, and return its manifest, which is written too."""
    files, weights = write_graphs(folder, graphs.models)
    changed = replace(
        manifest,
        graphs=files,
        weights=weights,
        states=graphs.states,
        memory=graphs.memory,
        passes=graphs.passes.applied,
        precision=precision,
    )
    write_manifest(folder, changed)
    return changed


def _references(texts: Sequence[str], facts: Understanding) -> list[list[int]]:
    if texts and facts.target_vocabulary is None:
        raise ExportError(f"references to measure with need a target vocabulary: give {option('target_vocab', 'FILE')}")
    return [facts.target_vocabulary.encode(text) for text in texts] if facts.target_vocabulary else []


@dataclass(frozen=True)
class Quality:
    """What fewer bits change in one kind of search.

    Attributes:
        search: "greedy", "beam 5", or "best symbols" of a model of one pass.
        sentences, sentences_changed: how many were decoded, and how many of them differ from float32's.
        tokens, tokens_changed: tokens that float32 wrote, and edits from them to the others'.
        error_rate_before, error_rate_after: share of sentences that differ from their reference, with float32 and with
            fewer bits; None without references.
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
        """Return plain values for the manifest, without what wasn't measured."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def quality(
    models: tuple[Model, Model], inputs: Any, references: Sequence[Sequence[int]], max_length: int
) -> list[Quality]:
    """Decode with both models and compare what they give, each output by itself.

    Args:
        models: float32, fewer bits.
        inputs: as `Model.generate` takes them.
        references: ids of the right target of each input; empty where there are none.
        max_length: longest target.
    """
    names = models[0].manifest.output_names
    if names:
        before, after = models
        told = [references, *[[]] * (len(names) - 1)]  # they are the first one's
        return [
            replace(found, search=f"{name}: {found.search}")
            for name, right in zip(names, told, strict=True)
            for found in quality((before.output(name), after.output(name)), inputs, right, max_length)
        ]
    qualities = []
    kinds = [("greedy", 1), (f"beam {BEAM_SIZE}", BEAM_SIZE)]
    if models[0].manifest.kind == "one-pass":
        kinds = [("best symbols", 1)]
    for search, beam_size in kinds:
        one, other = (
            [result.ids for result in model.generate(inputs, beam_size=beam_size, max_length=max_length)]
            for model in models
        )
        edits = [edit_distance(a, b) for a, b in zip(one, other, strict=True)]
        compared = Quality(search, len(one), sum(edit > 0 for edit in edits), sum(map(len, one)), sum(edits))
        if references:
            rates = [error_rates(ids, [[list(reference)] for reference in references]) for ids in (one, other)]
            compared = replace(
                compared,
                error_rate_before=rates[0].sequence_error_rate,
                error_rate_after=rates[1].sequence_error_rate,
                token_error_rate_before=rates[0].token_error_rate,
                token_error_rate_after=rates[1].token_error_rate,
            )
        qualities.append(compared)
    return qualities

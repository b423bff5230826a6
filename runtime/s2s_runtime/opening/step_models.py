"""The graphs of a bundle as the step model of its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.bundle.manifest_file import checked_bundle
from s2s_runtime.bundle.storage import BundleFiles, BundleSource, find_files
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.ort.bundle_sessions import BundleSessions
from s2s_runtime.ort.onnx_model import OnnxStepModel
from s2s_runtime.ort.sessions import SessionSettings, settings_like
from s2s_runtime.ort.thread_rule import HELD_TWICE, rows_for_one_pass, rows_for_one_thread

if TYPE_CHECKING:
    from s2s_runtime.language_models import begun_model, prompts
    from s2s_runtime.one_pass import pass_model
    from s2s_runtime.ort import whole_graph

    AnyModel = OnnxStepModel | pass_model.OnePassModel | begun_model.BegunModel[Any]
else:  # each bundle needs those of its kind
    begun_model, prompts = LazyModule("language_models.begun_model"), LazyModule("language_models.prompts")
    pass_model, whole_graph = LazyModule("one_pass.pass_model"), LazyModule("ort.whole_graph")


def open_bundle(path: BundleSource) -> tuple[Manifest, AnyModel]:
    """Return the manifest of a bundle and its graphs, opened on the CPU.

    Raises:
        BundleNotFoundError, BundleError, MissingExtraError: as `s2s_runtime.load`.
    """
    files = find_files(path)
    with checked_bundle(files, verify_hashes=True, without=()) as manifest:
        files.close()
        return manifest, open_step_model(files, manifest, SessionSettings())


def opener(
    files: BundleFiles, manifest: Manifest, settings: SessionSettings, alone: Mapping[str, Any] | None, threads: int
) -> Callable[[], AnyModel]:
    """Return a function that opens the graphs with so many threads each, or takes those that have one already."""
    sessions = alone
    if sessions is None or threads != 1:
        sessions = BundleSessions(files, manifest, replace(settings, intra_op_threads=threads), {})
    if manifest.one_graph:
        return partial(_one_pass_model, manifest, sessions)
    return lambda: _begun(manifest, OnnxStepModel(manifest, sessions))


def _begun(manifest: Manifest, model: OnnxStepModel) -> OnnxStepModel | begun_model.BegunModel[Any]:
    """Return the model, or, where a language model has no start token, one that begins with its prompt's first."""
    if manifest.kind == "decoder-only" and prompts.needs_prompt(manifest):
        return begun_model.BegunModel(model, manifest.target.size)
    return model


def _one_pass_model(
    manifest: Manifest, sessions: Mapping[str, Any], alone: Mapping[str, Any] | None = None, rows: int = 0
) -> pass_model.OnePassModel:
    graph = whole_graph.WholeGraph(manifest, sessions, alone, rows)
    step = whole_graph.StepGraph(manifest, sessions) if "step" in manifest.graphs else None
    made = pass_model.OnePassModel(graph, graph.provider, step, choose=graph.best)
    made.alone = alone
    return made


def open_step_model(
    files: BundleFiles,
    manifest: Manifest,
    settings: SessionSettings,
    ready: Mapping[str, Any] | None = None,
    *,
    on_device: bool | None = None,
) -> AnyModel:
    """Open the encoder and the graph that decodes most often; the others are opened when they are needed.

    Where steps of few rows are for one thread, graphs are opened with one first, with more for the first larger batch.

    Each graph is checked to have the inputs and outputs that the manifest promises.

    Args:
        files: files of the bundle.
        manifest: manifest of the bundle.
        settings: how sessions are opened.
        ready: sessions that are open already, by graph name.
        on_device: see `OnnxStepModel`.

    Raises:
        MissingExtraError, ProviderError, BundleError, OptionError: as `load`.
    """
    ready = ready or {}
    if manifest.one_graph:
        known = manifest.weights is not None and manifest.weights.bytes <= HELD_TWICE
        graph = files.read(manifest.graphs["model"].file) if known else b""
        rows = rows_for_one_pass(graph, settings, ready)
        alone = BundleSessions(files, manifest, replace(settings, intra_op_threads=1), {}) if rows else None
        sessions = BundleSessions(files, manifest, replace(settings, stays_awake=True), ready)
        return _one_pass_model(manifest, sessions, alone, rows)
    stepping = settings_like(ready["decoder"]) if "decoder" in ready else settings
    device = stepping.device
    if settings.providers is None:
        settings = stepping
    graphs = BundleSessions(files, manifest, settings, ready)
    if settings.allow_fallback:
        device = settings_like(graphs["encoder"]).device  # what was obtained
    rows = rows_for_one_thread(manifest, settings, ready)
    alone = BundleSessions(files, manifest, replace(settings, intra_op_threads=1), {}) if rows else None
    steps = OnnxStepModel(manifest, graphs, device, on_device=on_device, alone=alone, rows_alone=rows)
    return _begun(manifest, steps)

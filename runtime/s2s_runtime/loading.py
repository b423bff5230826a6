"""Loading a bundle, wherever it lies, as a model that is ready to decode."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.bundle.manifest_file import checked_bundle
from s2s_runtime.bundle.storage import BundleSource, find_files
from s2s_runtime.declared_options import known_keywords
from s2s_runtime.decoding.workers import make_workers
from s2s_runtime.errors import OptionError
from s2s_runtime.forks import leave_alone
from s2s_runtime.lazy_modules import logger_of
from s2s_runtime.model import Model
from s2s_runtime.opening.step_models import open_step_model, opener
from s2s_runtime.ort.sessions import ProviderOptions, SessionSettings
from s2s_runtime.spelling import shown


@known_keywords
def load(
    path: BundleSource,
    *,
    providers: Sequence[str] | None = None,
    provider_options: Sequence[ProviderOptions] | None = None,
    intra_op_threads: int | None = None,
    inter_op_threads: int | None = None,
    spinning: bool | None = None,
    shared_threads: bool = False,
    allow_fallback: bool = False,
    low_memory: bool = False,
    workers: int | None = None,
    verify_hashes: bool = True,
    sessions: Mapping[str, Any] | None = None,
) -> Model:
    """Load a bundle and return its model. All files are read at once; what happens to them afterwards changes nothing.

    Args:
        path: the bundle's folder, a zip file of it, the bytes of one, or a mapping of its files' names to their bytes.
        providers: execution providers in order of preference, by onnxruntime's name ("CUDAExecutionProvider") or a
            short one ("cuda"); None = the CPU. One that isn't obtained is an error, unless `allow_fallback` is set.
        provider_options: one mapping per provider, such as `[{"device_id": 1}]`.
        intra_op_threads: threads inside one operator; None = one per physical core, but one alone where the step is so
            short that threads would wait for each other: small models, few rows (see `s2s_runtime.ort.thread_rule`).
        inter_op_threads: threads across operators; None = operators run one after the other.
        spinning: whether threads that wait for work stay awake; see `SessionSettings`.
        shared_threads: whether to use threads that all models share; see `SessionSettings`.
        allow_fallback: whether a provider that isn't obtained is passed over for the next one, in the end for the CPU.
        low_memory: whether graphs read the weights where they lie. Otherwise each holds those that it multiplies with
            once more, laid out for the CPU: up to twice as fast for a single sentence; see the page on applications.
        workers: how many batches of a list `generate`, `generate_iter`, `generate_file` and `score` take at a time,
            each on cores of its own, from eight batches on, or 32 rows (sentences times beams) a worker; opened
            once more with the first such list. 1 = batch after batch. None = as many as there are cores, eight at most,
            for models of up to 64 MB on the CPU where nothing is said about threads.
        verify_hashes: whether the graph files are compared with the SHA-256 in the manifest.
        sessions: an open `onnxruntime.InferenceSession` by graph name ("encoder", "decoder", ...) for graphs that
            should run in it; their files are not looked at. Other graphs are opened as the other arguments say, or,
            where `providers` is None, with the providers of the decoder's session.

    Raises:
        BundleNotFoundError: there is no bundle at `path`.
        BundleError: it is incomplete, altered or malformed, or a session doesn't fit the manifest.
        VocabularyError: the sentencepiece model of a vocabulary can't be used.
        MissingExtraError: onnxruntime is not installed, or sentencepiece where a vocabulary needs it.
        ProviderError: a provider was not obtained.
        OptionError: an argument is out of range.
    """
    ready = _by_name(sessions)
    ways = {"allow_fallback": allow_fallback, "shared_threads": shared_threads, "low_memory": low_memory}
    settings = SessionSettings(providers, provider_options, intra_op_threads, inter_op_threads, spinning, **ways)
    files = find_files(path)
    with checked_bundle(files, verify_hashes=verify_hashes, without=ready) as manifest:
        files.close()
        _check_fit(manifest, ready)
        step_model = open_step_model(files, manifest, settings, ready)
        opening = partial(opener, files, manifest, settings, step_model.alone)
        at_once = make_workers(workers, settings, manifest, ready, opening)
    if "logging" in sys.modules:  # else nobody listens
        logger_of(__name__).debug("%s: opened; %s decodes", files.name, step_model.provider)
    return Model(manifest, step_model, step_model.provider, at_once, files.name)


def _check_fit(manifest: Manifest, sessions: Mapping[str, Any]) -> None:
    """Check that sessions have names of graphs and, now and not with the first text, that vocabularies can be used."""
    unknown = [name for name in sessions if name not in manifest.graphs]
    if unknown:
        raise OptionError(f"sessions: expected names among {', '.join(manifest.graphs)}, got {', '.join(unknown)}")
    further = (output.vocabulary for output in manifest.outputs)
    for vocabulary in (manifest.source_vocabulary, manifest.target_vocabulary, *further):
        if vocabulary is not None:
            vocabulary.check_model()


def _by_name(sessions: Mapping[str, Any] | None) -> dict[str, Any]:
    if sessions is not None and not isinstance(sessions, Mapping):
        raise OptionError(f"sessions: expected a mapping of graph names to sessions, got {shown(sessions)}")
    for name, session in (sessions or {}).items():
        if not hasattr(session, "get_inputs"):
            raise OptionError(
                f"sessions[{name!r}]: expected an open onnxruntime.InferenceSession, got {shown(session)}"
            )
        leave_alone(session)
    return dict(sessions or {})

"""Opening one graph: from memory, with the providers, devices and threads that its settings ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from s2s_runtime.errors import BundleError, OptionError, ProviderError
from s2s_runtime.forks import leave_alone
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.ort.graph_bytes import NOWHERE, PlacedGraph, placed
from s2s_runtime.ort.sessions import CPU, CUDA, ProviderOptions, SessionSettings, import_onnxruntime

if TYPE_CHECKING:
    from s2s_runtime.ort import private_copy
else:  # hardly any model needs it
    private_copy = LazyModule("ort.private_copy")

_WEIGHTS_OF_8_BITS: Final = (1, 22)  # the first onnxruntime that multiplies by them
_BOUNDED_SPINNING: Final = (1, 26)  # the first onnxruntime that is told how long threads wait; others wait much longer
_WITHIN_RUNS, _BETWEEN_RUNS = "10", "100"  # microseconds
_ERRORS, _FATAL = 3, 4  # what onnxruntime logs to stderr at least


def open_session(graph: bytes, settings: SessionSettings, name: str, weights: Mapping[str, bytes] | None = None) -> Any:
    """Open one graph and make sure that it runs where it was asked to.

    Args:
        graph: the ONNX file's content.
        settings: providers and threads.
        name: what to call it in messages.
        weights: content of the files that its constants lie in, by name.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        ProviderError: a provider asked for is not in this build of onnxruntime, or could not be started.
        BundleError: onnxruntime can't load the graph, or the graph reads other files than `weights`.
    """
    weights = weights or {}
    ort = import_onnxruntime()
    _check_available(ort.get_available_providers(), settings)
    if settings.low_memory and b"MatMulNBits" in graph:
        # It would multiply by unpacked weights of 8 bits in another way, with other rounding.
        settings = replace(settings, low_memory=False)
    first, *others = _attempts(settings, ort.get_available_providers())
    placed_graph = placed(graph, weights, name)
    try:
        if placed_graph.in_memory:
            return _from_memory(ort, placed_graph, first, name)
        session_options = _session_options(ort, first)
        with private_copy.private_copy(placed_graph.content, weights) as copy:
            return _start(ort, str(copy), first, session_options, name)
    except ProviderError:
        if not others:
            raise
    return open_session(graph, others[0], name, weights)


def _from_memory(ort: ModuleType, graph: PlacedGraph, settings: SessionSettings, name: str) -> Any:
    """Open a graph whose constants are in memory, on the CPU without a copy of them."""
    values = {key: ort.OrtValue.ortvalue_from_numpy(array) for key, array in graph.constants.items()}
    stays = settings.requested == (CPU,)

    def started(beforehand: list[str], severity: int) -> Any:
        options = _session_options(ort, settings)
        options.log_severity_level = severity
        options.add_external_initializers(beforehand, [values[key] for key in beforehand])  # copied
        if stays:
            # Else onnxruntime keeps the copies. Tables are read where they are; kernels are packed.
            for key, value in values.items():
                options.add_initializer(key, value)
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(NOWHERE))
        session = _start(ort, graph.content, settings, options, name)
        session.held_constants = values  # it reads them where they are, and doesn't keep them alive itself
        return session

    if stays and graph.large:
        try:
            return started([key for key in values if key not in graph.large], _FATAL)
        except BundleError:  # it wants to compute with one of them first, or packages here aren't files
            pass
    return started([*values], _ERRORS)


def _start(ort: ModuleType, graph: bytes | str, settings: SessionSettings, session_options: Any, name: str) -> Any:
    """Open a graph with exactly the providers that the settings ask for."""
    options = settings.provider_options
    state = ort.capi.onnxruntime_pybind11_state  # its errors have no common base but Exception, and others come too
    try:
        session = ort.InferenceSession(
            graph,
            session_options,
            providers=list(settings.requested),
            provider_options=None if options is None else [_as_text(values) for values in options],
            enable_fallback=0,  # else onnxruntime prints, and changes the provider even in the middle of a run
        )
    except Exception as error:
        if "use_per_session_threads" in str(error) or "GlobalThreadPools" in str(error):
            has = "has none; make them with" if settings.shared_threads else "has, made with"
            raise OptionError(
                f"shared_threads: got {settings.shared_threads}, but threads that all sessions share this process "
                f"{has} onnxruntime.set_global_thread_pool_sizes"
            ) from error
        if settings.requested != (CPU,) and isinstance(error, state.EPFail | state.RuntimeException):
            raise ProviderError(f"providers: {', '.join(settings.requested)}: {_first_line(error)}") from error
        if "MatMulNBits" in str(error) and _version(ort) < _WEIGHTS_OF_8_BITS:
            raise BundleError(
                f"{name}: weights of 8 bits need onnxruntime {'.'.join(map(str, _WEIGHTS_OF_8_BITS))} or newer, got "
                f"{ort.__version__}; a bundle of s2s-export --quantize int8 runs on older ones too"
            ) from error
        raise BundleError(f"{name}: onnxruntime can't load this graph: {_first_line(error)}") from error
    leave_alone(session)
    obtained = session.get_providers()
    refused = [name for name in settings.requested if name not in obtained]
    if refused:
        raise ProviderError(
            f"providers: asked for {', '.join(refused)} but onnxruntime fell back to {', '.join(obtained)}; "
            f"its log on stderr says why (often a missing or mismatched driver library); allow_fallback=True "
            f"(--allow-fallback) takes what there is"
        )
    return session


def _attempts(settings: SessionSettings, available: Sequence[str]) -> list[SessionSettings]:
    """Return the settings to try in turn: these, and without the first provider where falling back is allowed."""
    if not settings.allow_fallback:
        return [settings]
    options = settings.provider_options
    kept = [i for i, name in enumerate(settings.requested) if name in available]
    attempts = [
        replace(
            settings,
            providers=[settings.requested[i] for i in indices],
            provider_options=None if options is None else [options[i] for i in indices],
        )
        for indices in (kept, kept[1:])
        if indices
    ]
    if settings.requested != (CPU,):
        attempts.append(replace(settings, providers=None, provider_options=None))
    return attempts


def _check_available(available: Sequence[str], settings: SessionSettings) -> None:
    absent = [name for name in settings.requested if name not in available]
    if absent and not settings.allow_fallback:
        advice = "; for CUDA install 's2s-runtime[gpu]' instead of [cpu]" if CUDA in absent else ""
        raise ProviderError(
            f"providers: {', '.join(absent)} not in this onnxruntime, which has {', '.join(available)}{advice}; "
            f"allow_fallback=True (--allow-fallback) takes what there is"
        )


def _session_options(ort: ModuleType, settings: SessionSettings) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS  # warnings about fusing and placement are not for users
    if settings.low_memory:
        options.add_session_config_entry("session.disable_prepacking", "1")
    if settings.intra_op_threads is not None:
        options.intra_op_num_threads = settings.intra_op_threads
    if settings.inter_op_threads is not None:
        options.inter_op_num_threads = settings.inter_op_threads
        options.execution_mode = ort.ExecutionMode.ORT_PARALLEL
    if settings.shared_threads:
        if not hasattr(options, "use_per_session_threads"):
            raise OptionError(f"shared_threads: needs onnxruntime 1.23 or newer, got {ort.__version__}")
        options.use_per_session_threads = False
        return options
    waits_on = settings.stays_awake and settings.spinning is None and _version(ort) >= _BOUNDED_SPINNING
    if not waits_on:
        options.add_session_config_entry("session.force_spinning_stop", "1")
    for pool in ("intra_op", "inter_op"):
        options.add_session_config_entry(f"session.{pool}.allow_spinning", "0" if settings.spinning is False else "1")
        if settings.spinning is None:
            duration = _BETWEEN_RUNS if waits_on else _WITHIN_RUNS
            options.add_session_config_entry(f"session.{pool}.spin_duration_us", duration)
    return options


def _version(ort: ModuleType) -> tuple[int, ...]:
    """Return the first two numbers of onnxruntime's version."""
    return tuple(map(int, ort.__version__.split(".")[:2]))


def _as_text(options: ProviderOptions) -> dict[str, str]:
    return {name: str(int(value) if isinstance(value, bool) else value) for name, value in options.items()}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

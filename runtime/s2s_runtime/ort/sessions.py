"""Settings of onnxruntime sessions: providers, devices and threads, all in one place.

onnxruntime is imported here, when the first session is opened, and nowhere else at run time.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final

from s2s_runtime.declared_options.checks import is_integer, is_list
from s2s_runtime.errors import MissingExtraError, OptionError
from s2s_runtime.ort.telemetry import disable_telemetry
from s2s_runtime.spelling import shown

_SHORT_NAMES: Final = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "rocm": "ROCMExecutionProvider",
}
CPU: Final = _SHORT_NAMES["cpu"]
CUDA: Final = _SHORT_NAMES["cuda"]

_MOST_THREADS: Final = 1024  # of one operator; more is a slip of the pen, and each would be started
_CAPTURE: Final = "enable_cuda_graph"

ProviderOptions = Mapping[str, str | int | float | bool]


@dataclass(frozen=True)
class SessionSettings:
    """The providers, devices and threads with which sessions are opened.

    Args:
        providers: execution providers in order of preference, by onnxruntime's name ("CUDAExecutionProvider") or a
            short one ("cuda"). None = the CPU.
        provider_options: one mapping per provider, such as `[{"device_id": 1}]`; None = onnxruntime's defaults.
        intra_op_threads: threads inside one operator; None = one per physical core.
        inter_op_threads: threads across operators; None = operators run one after the other.
        spinning: whether threads that wait for work within a run do so actively: False = never, True = as long as the
            run lasts, None = for ten microseconds. Between runs they sleep, so that the pools of several graphs
            don't take the cores from each other. Ten microseconds bridge the gap between two operators: on two free
            cores a sentence alone takes an eighth less time than without, and no more than that is gained by waiting
            longer. On cores that others use too, waiting longer took up to 1.7 times as long as not waiting at all.
        allow_fallback: whether a provider that isn't obtained is passed over for the next one asked for, and in the
            end for the CPU; otherwise it is an error.
        shared_threads: whether to use the threads that all sessions of the process share, instead of a pool for each
            graph: for processes that hold many models. The application makes them, before it opens any session, with
            `onnxruntime.set_global_thread_pool_sizes`, which decides for every session in the process: from then on
            each has to share, and thread counts and spinning are no longer a session's own.
        stays_awake: whether threads wait actively for 100 microseconds instead, behind a run too, where `spinning` is
            None: for a model that is one graph, beside which there is no other whose threads they would keep from a
            core. One call behind the other finds them awake: batches of 32 sentences take 0.9 of the time, larger ones
            as long as before. Each run costs the cores up to 100 microseconds behind its end; on cores that others use
            too, batches of 256 take 1.05 to 1.15 times as long. Needs onnxruntime 1.26, has no effect before.
        low_memory: whether graphs read the weights as they lie in the bundle, instead of a copy for each graph that is
            laid out for the CPU's products.

    Raises:
        OptionError: a thread count below 1, or options that don't match the providers.
    """

    providers: Sequence[str] | None = None
    provider_options: Sequence[ProviderOptions] | None = None
    intra_op_threads: int | None = None
    inter_op_threads: int | None = None
    spinning: bool | None = None
    allow_fallback: bool = False
    shared_threads: bool = False
    stays_awake: bool = False
    low_memory: bool = False
    _requested: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("intra_op_threads", "inter_op_threads"):
            value = getattr(self, name)
            if value is not None and not (is_integer(value) and 1 <= value <= _MOST_THREADS):
                expected = f"an integer from 1 to {_MOST_THREADS}, or None"
                raise OptionError(f"{name}: expected {expected}, got {shown(value)}")
        if self.spinning is not None and not isinstance(self.spinning, bool):
            raise OptionError(f"spinning: expected True, False or None, got {shown(self.spinning)}")
        for name in ("allow_fallback", "shared_threads", "low_memory"):
            if not isinstance(getattr(self, name), bool):
                raise OptionError(f"{name}: expected True or False, got {shown(getattr(self, name))}")
        if self.shared_threads:
            for name in ("intra_op_threads", "inter_op_threads", "spinning"):
                if getattr(self, name) is not None:
                    raise OptionError(f"{name}: expected None with shared_threads, got {shown(getattr(self, name))}")
        if self.providers is not None and not (is_list(self.providers) and len(self.providers)):
            raise OptionError(
                f"providers: expected a list of names such as ['cuda', 'cpu'], got {shown(self.providers)}"
            )
        names = (CPU,) if self.providers is None else tuple(map(provider_name, self.providers))
        object.__setattr__(self, "_requested", names)
        self._check_options(names)

    def _check_options(self, names: Sequence[str]) -> None:
        given = self.provider_options
        if given is not None and not (is_list(given) and all(isinstance(options, Mapping) for options in given)):
            raise OptionError(f"provider_options: expected a list of mappings, got {shown(given)}")
        if self.provider_options is not None and len(self.provider_options) != len(names):
            raise OptionError(
                f"provider_options: expected one mapping per provider ({len(names)}), got {len(self.provider_options)}"
            )
        for options in self.provider_options or ():
            if str(options.get(_CAPTURE, "0")).lower() in ("1", "true"):
                raise OptionError(
                    f"provider_options: {_CAPTURE}: captured graphs need their inputs in the same memory at every run, "
                    "which decoding doesn't promise; leave it out"
                )

    @property
    def requested(self) -> tuple[str, ...]:
        """The providers asked for, by onnxruntime's names."""
        return self._requested

    @property
    def device(self) -> tuple[str, int]:
        """The device on which the first provider keeps tensors: onnxruntime's name and number of it."""
        if self.requested[0] != CUDA:
            return "cpu", 0  # the other providers take and give tensors in host memory
        options = self.provider_options[0] if self.provider_options else {}
        return "cuda", int(options.get("device_id", 0))


def provider_name(name: str) -> str:
    """Return onnxruntime's name of a provider that may be called by a short one."""
    if not isinstance(name, str):
        raise OptionError(f"providers: expected names such as 'cpu' or 'cuda', got {shown(name)}")
    return _SHORT_NAMES.get(name.lower(), name)


def fallback_warning(asked: Sequence[str] | None, obtained: str) -> str | None:
    """Say that another provider decodes than the first asked for, which only `allow_fallback` allows."""
    if not asked or provider_name(asked[0]) == obtained:
        return None
    return f"warning: --provider {asked[0]} was not obtained; {obtained} decodes"


def available_providers() -> list[str]:
    """Return the providers that this onnxruntime was built with and that have a short name here, in its order.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    return [name for name in import_onnxruntime().get_available_providers() if name in _SHORT_NAMES.values()]


def import_onnxruntime() -> ModuleType:
    """Return the onnxruntime module, its telemetry disabled unless the environment says otherwise.

    Raises:
        MissingExtraError: it is not installed; the message names the extras that bring it.
    """
    disable_telemetry()
    try:
        return importlib.import_module("onnxruntime")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "onnxruntime is not installed: pip install 's2s-runtime[cpu]', or 's2s-runtime[gpu]' for CUDA"
        ) from error


def settings_like(session: Any) -> SessionSettings:
    """Return settings with the providers and provider options of a session that is open already."""
    providers, options = session.get_providers(), session.get_provider_options()
    return SessionSettings(providers, [options.get(name, {}) for name in providers])

"""The machine and the versions with which something was measured."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from s2s_runtime.bench.settings import Loading

_PACKAGES: Final = ("s2s-runtime", "onnxruntime", "onnxruntime-gpu", "numpy")


@dataclass(frozen=True, slots=True)
class Setting:
    """The bundle that was measured, and the machine and versions with which.

    Attributes:
        bundle: its path.
        inputs: words for where the sources came from.
        load_seconds: time to open the bundle the first time, with onnxruntime's import where that was its first.
        provider: the execution provider obtained then; each measurement has its own.
        threads: inside an operator then; None = one where a step is short, else one per core.
        workers: batches decoded at the same time then; None = as the rules of `s2s_runtime.decoding.workers` say.
        cpu: the processor's name.
        cores: how many it has.
        versions: of Python and the packages that matter.
    """

    bundle: str
    inputs: str
    load_seconds: float
    provider: str
    threads: int | None
    workers: int | None
    cpu: str
    cores: int
    versions: dict[str, str]

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return asdict(self)


def describe_setting(loading: Loading, inputs: str, load_seconds: float, provider: str) -> Setting:
    """Return what is measured and where; see `Setting`."""
    return Setting(
        bundle=str(loading.bundle),
        inputs=inputs,
        load_seconds=load_seconds,
        provider=provider,
        threads=loading.threads,
        workers=loading.workers,
        cpu=cpu_name(),
        cores=os.cpu_count() or 1,
        versions=_versions(),
    )


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # one of the two onnxruntime packages is always absent
            continue
    return versions


def cpu_name() -> str:
    """Return the processor's name as Linux gives it; on other systems, as Python does."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

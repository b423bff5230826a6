"""From a folder to a model that is ready to decode."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from s2s_runtime.bundle import read_manifest
from s2s_runtime.model import Model
from s2s_runtime.onnx_model import OnnxStepModel
from s2s_runtime.sessions import ProviderOptions, SessionSettings


def load(
    path: str | os.PathLike[str],
    *,
    providers: Sequence[str] | None = None,
    provider_options: Sequence[ProviderOptions] | None = None,
    intra_op_threads: int | None = None,
    inter_op_threads: int | None = None,
    spinning: bool = False,
    verify_hashes: bool = True,
) -> Model:
    """Load a bundle.

    Args:
        path: the bundle's folder.
        providers: execution providers in order of preference, by onnxruntime's name ("CUDAExecutionProvider") or a
            short one ("cuda"); None = the CPU. One that isn't obtained is an error, never a silent fall-back.
        provider_options: one mapping per provider, such as `[{"device_id": 1}]`.
        intra_op_threads: threads inside one operator; None = one per physical core.
        inter_op_threads: threads across operators; None = operators run one after the other.
        spinning: whether idle threads wait actively; see `SessionSettings`.
        verify_hashes: whether the graph files are compared with the SHA-256 in the manifest.

    Raises:
        BundleNotFoundError: there is no bundle at `path`.
        BundleError: it is incomplete, altered or malformed.
        MissingExtraError: onnxruntime is not installed; names the extra that brings it.
        ProviderError: a provider was not obtained.
        OptionError: an argument is out of range.
    """
    settings = SessionSettings(providers, provider_options, intra_op_threads, inter_op_threads, spinning)
    manifest = read_manifest(path, verify_hashes=verify_hashes)
    step_model = OnnxStepModel(Path(path), manifest, settings)
    return Model(manifest, step_model, step_model.provider)

"""Turn Keras encoder-decoders into verified ONNX bundles.

`export(model, path)` writes a bundle that `s2s_runtime.load` decodes; `ExportOptions` says what a graph can't tell.
"""

import importlib

from s2s_export.errors import ExportError, ModelFileError, VerificationError
from s2s_export.options import ExportOptions

__version__ = "0.1.0"

__all__ = [
    "ExportError",
    "ExportOptions",
    "Exported",
    "ModelFileError",
    "VerificationError",
    "build_model",
    "export",
    "load_model",
]


_HEAVY = {"export": "exporter", "Exported": "exporter", "build_model": "load", "load_model": "load"}


def __getattr__(name: str) -> object:
    """What imports TensorFlow is imported when it is first asked for."""
    if name in _HEAVY:
        return getattr(importlib.import_module(f"s2s_export.{_HEAVY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

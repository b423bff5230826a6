"""Turn Keras encoder-decoders into verified ONNX bundles.

`export(model, path)` writes a bundle that `s2s_runtime.load` decodes; `ExportOptions` says what a graph can't tell.
"""

import importlib
import logging
from typing import TYPE_CHECKING

from s2s_export.errors import ExportError, ModelFileError, VerificationError
from s2s_runtime.ort.telemetry import disable_telemetry
from s2s_training.quiet_import import import_quietly

if TYPE_CHECKING:
    from s2s_export.exporter import export
    from s2s_export.keras_files.load import build_model, load_model
    from s2s_export.options import ExportOptions
    from s2s_export.report import Exported
    from s2s_export.stepped_exports import export_pair, export_steps

__version__ = "0.1.0"

__all__ = [
    "ExportError",
    "ExportOptions",
    "Exported",
    "ModelFileError",
    "VerificationError",
    "build_model",
    "export",
    "export_pair",
    "export_steps",
    "load_model",
]


disable_telemetry()  # here, as several modules of the exporter import onnxruntime, before or after any other
logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent, unless the application listens

_LATER = {
    "ExportOptions": "options",
    "Exported": "report",
    "build_model": "keras_files.load",
    "export": "exporter",
    "export_pair": "stepped_exports",
    "export_steps": "stepped_exports",
    "load_model": "keras_files.load",
}


def __getattr__(name: str) -> object:
    """Import what takes its time, TensorFlow above all, when it is first asked for.

    `--help` needs none of it.
    """
    if name in _LATER:
        if name != "ExportOptions":
            import_quietly()
        return getattr(importlib.import_module(f"s2s_export.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])

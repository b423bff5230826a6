"""Checks of a model's configuration before Keras makes layers of it: what it would run, and what it would read.

Keras has checks of its own, which differ from version to version and don't reach all that is nested; these come before
them. Allowed are Keras's own layers and functions, and what the caller hands in.
"""

from __future__ import annotations

import json
import logging
import marshal
import zipfile
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any, Final

import h5py
import keras

from s2s_export.errors import ModelFileError
from s2s_export.keras_files.file_kinds import is_config, is_folder
from s2s_export.keras_files.saved_model_folder import folder_config

logger = logging.getLogger(__name__)

Entry = dict[str, Any]

_FOREIGN: Final = {
    "TFSMLayer": "runs a SavedModel that lies elsewhere",
    "TorchModuleWrapper": "holds a pickle of PyTorch, which runs code when it is read",
    "JaxLayer": "runs a function of JAX",
    "FlaxLayer": "runs a module of Flax",
}
_LOOKUPS: Final = ("TextVectorization", "StringLookup", "IntegerLookup", "IndexLookup")
# Modules of Keras whose functions compute and do nothing else.
_FUNCTIONS: Final = ("builtins", "keras.activations", "keras.ops", "keras.random", "keras.losses", "keras.metrics")
_MODELS: Final = ("Functional", "Sequential", "Model")
_LAMBDA: Final = "__lambda__"  # Python code of a function without a name, as Keras 3 writes it


@dataclass(frozen=True)
class LambdaCode:
    """The Python code that a file has for a layer.

    Attributes:
        layer: name of the layer.
        held: the code as the file holds it.
    """

    layer: str
    held: Any

    def __str__(self) -> str:
        """Say what is known of the code without running it. The file has to be trusted, as the code is unpacked."""
        coded = self.held.get("code") if isinstance(self.held, dict) else self.held
        try:
            code = marshal.loads(b64decode(coded[0] if isinstance(coded, list) else coded))
        except (ValueError, TypeError, EOFError, IndexError):
            code = None
        if not isinstance(code, CodeType):
            return "code of another version of Python"
        arguments = ", ".join(code.co_varnames[: code.co_argcount])
        used = [*code.co_names, *(repr(each)[:40] for each in code.co_consts if each is not None)]
        place = f"{code.co_filename}:{code.co_firstlineno}"
        return f"lambda {arguments} of {place}, which uses {', '.join(used) or 'nothing else'}"


def check_config(path: Path, objects: dict[str, Any], *, trust_lambda: bool) -> Entry:
    """Check what the configuration in a file of a whole model would run or read, and return it.

    Args:
        path: the file, whose structure was checked.
        objects: classes and functions that the caller hands in, by name.
        trust_lambda: whether code in the file may run; it is logged then, before it does.

    Raises:
        ModelFileError: it would run code or read a file without having been asked to; or holds no configuration.
    """
    config = read_config(path)
    for entry in entries(config):
        _check_entry(entry, path, objects)
    codes = lambda_codes(config)
    if codes and not trust_lambda:
        names = ", ".join(f'"{code.layer}"' for code in codes)
        raise ModelFileError(
            f"{path}: it holds a Lambda layer ({names}), whose Python code would run on loading; if you trust the "
            "file, allow it with --trust-lambda (trust_lambda=True in Python)"
        )
    for code in codes:
        logger.warning('%s: layer "%s" runs code of this file, as trusted: %s', path, code.layer, code)
    return config


def read_config(path: Path) -> Entry:
    """Return the configuration of the model in a file; what it says of training is left out, as nothing is made of it.

    Raises:
        ModelFileError: it holds none.
    """
    if is_folder(path):
        config = folder_config(path)
    elif is_config(path):
        config = json.loads(path.read_text(encoding="utf-8"))
        config = config if isinstance(config, dict) and isinstance(config.get("config"), dict) else None
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json")) if "config.json" in archive.namelist() else None
    else:
        with h5py.File(path, "r") as file:
            held = file.attrs.get("model_config")
            config = None if held is None else json.loads(held)
    if not isinstance(config, dict):
        raise ModelFileError(
            f"{path}: no model in it; expected a whole model as model.save() writes it, or weights with the function "
            "that builds their model (--weights FILE --model-fn module:function)"
        )
    return {key: value for key, value in config.items() if key != "compile_config"}


def entries(config: Any) -> Iterator[Entry]:
    """Yield every object with a class name in a configuration, the outermost first, however deep it stands."""
    pending = [config]
    while pending:
        item = pending.pop()
        if isinstance(item, dict) and isinstance(item.get("class_name"), str):
            yield item
        inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        pending += [*inner][::-1]


def lambda_codes(config: Any) -> list[LambdaCode]:
    """Return the code in a configuration, by the layer that it stands in."""
    codes, seen = list[LambdaCode](), set[int]()
    for entry in entries(config):  # a layer comes before what stands in it
        inner = entry.get("config")
        if _name(entry) == "Lambda" and isinstance(inner, dict):
            function = inner.get("function")
            held = [found for found in entries(inner) if found["class_name"] == _LAMBDA]
            seen |= {id(found) for found in held}
            if inner.get("function_type") == "lambda" or isinstance(function, list):  # as Keras 2 wrote it
                codes.append(LambdaCode(str(inner.get("name")), function))
            codes += [LambdaCode(str(inner.get("name")), found.get("config")) for found in held]
        elif entry["class_name"] == _LAMBDA and id(entry) not in seen:
            codes.append(LambdaCode(_LAMBDA, inner))
    return codes


def _check_entry(entry: Entry, path: Path, objects: dict[str, Any]) -> None:
    name, inner, module = _name(entry), entry.get("config"), entry.get("module")
    layer = inner.get("name") if isinstance(inner, dict) else None
    at = f"{path}: {name}" + (f' "{layer}"' if isinstance(layer, str) else "")
    if name in _FOREIGN:
        raise ModelFileError(
            f"{at} {_FOREIGN[name]}, which no bundle can hold: rebuild the model of Keras's own layers and load its "
            "weights (--weights FILE --model-fn module:function)"
        )
    if name in _LOOKUPS and isinstance(inner, dict) and isinstance(inner.get("vocabulary"), str):
        raise ModelFileError(
            f"{at} would read its vocabulary from the file {inner['vocabulary']!r} of this machine; expected the "
            "symbols in the model: build the layer with vocabulary=[...] and save the model again"
        )
    if not isinstance(module, str) or _given(entry, inner if name == "function" else name, objects):
        return
    function = inner if name == "function" and isinstance(inner, str) else "" if name[:1].isupper() else name
    known = module.partition(".")[0] in ("keras", "builtins") or (module.startswith("tf_keras.") and name in _MODELS)
    if not known or (function and not function.startswith("__") and module not in _FUNCTIONS):
        raise ModelFileError(_needs_object(at, module, function or name))


def _needs_object(at: str, module: str, name: str) -> str:
    known = f"{module}:{name}" if all(part.isidentifier() for part in f"{module}.{name}".split(".")) else "module:Name"
    typed = "module:" + name if module == "__main__" else known
    return (
        f"{at}: it uses a class or function that is not Keras's own; give it with --custom-objects {typed} "
        f"(custom_objects= in Python): nothing of {module} is imported because a file says so"
    )


def _given(entry: Entry, name: Any, objects: dict[str, Any]) -> bool:
    """Return whether an object was handed in, or registered by code that somebody imported."""
    registered = entry.get("registered_name")
    return any(
        isinstance(known, str) and keras.saving.get_registered_object(known, objects) is not None
        for known in (registered, name)
    )


def _name(entry: Entry) -> str:
    return str(entry["class_name"]).rpartition(".")[2]  # Keras also finds "layers.Lambda" in the module "keras"

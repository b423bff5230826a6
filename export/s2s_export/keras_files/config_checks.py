"""Checks of a model's configuration before Keras makes layers of it: what it would run, and what it would read.

Keras has checks of its own, which differ from version to version and don't reach all that is nested; these come before
them. Allowed are Keras's own layers and functions, and what the caller hands in.
"""

from __future__ import annotations

import json
import logging
import marshal
import platform
import zipfile
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any, Final

import h5py
import keras

from s2s_export.errors import BUILD_IN_CODE, IN_CODE, ModelFileError
from s2s_export.keras_files.file_kinds import is_config, is_folder, is_unpacked
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

    @property
    def unpacked(self) -> CodeType | None:
        """The code, which isn't run; None where this version of Python can't read it. The file has to be trusted."""
        coded = self.held.get("code") if isinstance(self.held, dict) else self.held
        try:
            code = marshal.loads(b64decode(coded[0] if isinstance(coded, list) else coded))
        except (ValueError, TypeError, EOFError, IndexError):
            return None
        return code if isinstance(code, CodeType) else None

    def __str__(self) -> str:
        """Say what is known of the code without running it. The file has to be trusted, as the code is unpacked."""
        code = self.unpacked
        if code is None:
            return "code of another version of Python"
        arguments = ", ".join(code.co_varnames[: code.co_argcount])
        used = [*code.co_names, *(repr(each)[:40] for each in code.co_consts if each is not None)]
        place = f"{code.co_filename}:{code.co_firstlineno}"
        return f"lambda {arguments} of {place}, which uses {', '.join(used) or 'nothing else'}"


def check_config(config: Entry, path: Path, objects: dict[str, Any], *, trust_lambda: bool) -> None:
    """Check what the configuration of a whole model would run or read.

    Args:
        config: as `read_config` returned it.
        path: the file that it came from, whose structure was checked.
        objects: classes and functions that the caller hands in, by name.
        trust_lambda: whether code in the file may run; it is logged then, before it does.

    Raises:
        ModelFileError: it would run code or read a file without having been asked to.
    """
    for entry in entries(config):
        _check_entry(entry, path, objects)
    codes = lambda_codes(config)
    if codes and not trust_lambda:
        raise ModelFileError(_would_run(path, [code.layer for code in codes if code.layer != _LAMBDA]))
    for code in codes:
        logger.warning('%s: layer "%s" runs code of this file, as trusted: %s', path, code.layer, code)
        if code.unpacked is None:
            advice = BUILD_IN_CODE
            if code.layer != _LAMBDA:
                advice = f"put a function of yours in its place: --lambda {code.layer}=module:function (lambdas=)"
            raise ModelFileError(
                f'{path}: layer "{code.layer}" holds code of another version of Python, which this one '
                f"({platform.python_version()}) can't run; {advice}"
            )


def _would_run(path: Path, layers: list[str]) -> str:
    trust = "if you trust the file, allow it with --trust-lambda (trust_lambda=True in Python)"
    if not layers:
        return f"{path}: it holds Python code in the place of a function, which would run on loading; {trust}"
    names = ", ".join(f'"{layer}"' for layer in layers)
    instead = " ".join(f"--lambda {layer}=module:function" for layer in dict.fromkeys(layers))
    return (
        f"{path}: it holds a Lambda layer ({names}), whose Python code would run on loading; put functions of yours in "
        f"its place with {instead} (lambdas= in Python), and nothing in the file runs; or, {trust}"
    )


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
    elif is_unpacked(path):
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
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
            f"that builds their model ({IN_CODE})"
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


def is_code(held: Any, kind: Any = None) -> bool:
    """Return whether Python code stands in a configuration where something is a function or a value.

    Args:
        held: what stands there.
        kind: what Keras 2 wrote beside it: "lambda" for code.
    """
    return kind == "lambda" or any(entry["class_name"] == _LAMBDA for entry in entries(held))


def lambda_codes(config: Any) -> list[LambdaCode]:
    """Return the code in a configuration, by the layer that it stands in."""
    codes, seen = list[LambdaCode](), set[int]()
    for entry in entries(config):  # a layer comes before what stands in it
        inner = entry.get("config")
        if class_name(entry) == "Lambda" and isinstance(inner, dict):
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
    name, inner, module = class_name(entry), entry.get("config"), entry.get("module")
    layer = inner.get("name") if isinstance(inner, dict) else None
    at = f"{path}: {name}" + (f' "{layer}"' if isinstance(layer, str) else "")
    if name in _FOREIGN:
        raise ModelFileError(
            f"{at} {_FOREIGN[name]}, which no bundle can hold: rebuild the model of Keras's own layers and load its "
            f"weights ({IN_CODE})"
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


def class_name(entry: Entry) -> str:
    """Return the name of an object's class, without the module that some versions wrote before it."""
    return str(entry["class_name"]).rpartition(".")[2]  # Keras also finds "layers.Lambda" in the module "keras"

"""Model files of Keras with damaged bytes or weights, an altered configuration, a size beyond all: read, or one error.

What still loads with another configuration is understood and split as an export does before it converts anything, for
some of them: it takes as long as loading ten.
"""

from __future__ import annotations

import base64
import gc
import io
import itertools
import json
import os
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from altered_manifests import alter, places
from damage import draw_edits, edited
from harness import Case, Harness

from s2s_runtime import S2SError

ENDINGS = (".keras", ".h5", ".cudnn.h5")
SIZES = (1001, 4096, 20_000, 10**5, 10**6, 10**7, 10**9, 2**31, 10**12, 2**63, 10**30, -(10**9))


@cache
def sound(ending: str) -> bytes:
    """A sound file; the last is one of Keras 2 with cuDNN layers."""
    from keras_2_files import save_as_keras_2
    from model_files import save_small, small_model

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{ending}"
        if ending == ".cudnn.h5":
            save_as_keras_2(small_model(), path, cudnn=True)
        else:
            save_small(path)
        return path.read_bytes()


@cache
def prepare() -> None:
    """Import Keras, and see that the sound files are understood."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from s2s_training.quiet_import import import_quietly

    import_quietly()
    for ending in ENDINGS:
        if read(sound(ending), ending, whole=True) != "understood":
            raise AssertionError(ending)
    gc.freeze()  # TensorFlow's many objects needn't be looked through again and again


def make(random: Random) -> Case:
    """Damage a file anywhere, or only its weights, or alter one thing of its configuration, or one of its sizes."""
    ending = random.choice(ENDINGS)
    kind = random.choice(["bytes", "weights", "configuration", "sizes"])
    content, whole = sound(ending), random.random() < 0.2
    if kind == "bytes" or (kind == "weights" and ending != ".keras"):
        return {"kind": "bytes", "ending": ending, "content": _text(edited(content, draw_edits(content, random)))}
    if ending == ".keras":
        held = _entries(content)
        if kind == "weights":
            inner = held["model.weights.h5"]
            return {"kind": kind, "ending": ending, "content": _text(_archive(held, inner, random))}
        config = json.loads(held["config.json"])
        done = CHANGES[kind](config, random)
        held["config.json"] = json.dumps(config).encode()
        return {"kind": kind, "ending": ending, "done": done, "whole": whole, "content": _text(_zipped(held))}
    import h5py

    file = io.BytesIO(content)
    with h5py.File(file, "r+") as opened:
        config = json.loads(opened.attrs["model_config"])
        done = CHANGES[kind](config, random)
        opened.attrs["model_config"] = json.dumps(config)
    return {"kind": kind, "ending": ending, "done": done, "whole": whole, "content": _text(file.getvalue())}


def enlarge(config: Any, random: Random) -> str:
    """Make one of the whole numbers of a configuration another; say which, to be read in a failure."""
    numbers = [place for place in places(config) if type(place[0][place[1]]) is int]
    container, key = random.choice(numbers)
    before, container[key] = container[key], random.choice(SIZES)
    return f"{key!r} is {container[key]}, where {before} stood"


CHANGES = {"configuration": alter, "sizes": enlarge}


_CALLS = itertools.count(1)


def read(content: bytes, ending: str, *, whole: bool) -> str:
    """Load a file, and on the `whole` read the model as an export does; raises what that raises."""
    import keras

    from s2s_export import ExportOptions, load_model
    from s2s_export.exporter import take_apart

    if next(_CALLS) % 25 == 0:
        keras.backend.clear_session()  # it collects garbage, which takes its time
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{ending}"
        path.write_bytes(content)
        model = load_model(path)
    if not whole:
        return "loaded"
    take_apart(model, ExportOptions(start_id=1, end_ids=(2,), max_length=5, source_length=5, padding="0"))
    return "understood"


def check(case: Case) -> str:
    """Read what was damaged."""
    content = base64.b64decode(case["content"])
    try:
        return f"{case['kind']}: {read(content, case['ending'], whole=case.get('whole', True) and 'done' in case)}"
    except S2SError as error:
        return f"{case['kind']}: {type(error).__name__}"


def _archive(held: dict[str, bytes], inner: bytes, random: Random) -> bytes:
    return _zipped(held | {"model.weights.h5": edited(inner, draw_edits(inner, random, tail=0))})


def _zipped(held: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in held.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _entries(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


HARNESS = Harness(name="damaged models", make=make, check=check, prepare=prepare, share=2, seconds=20)

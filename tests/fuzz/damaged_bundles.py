"""Zip files of bundles with damaged bytes, and graphs that were altered on purpose, with digests made anew for them.

A damaged file decodes what it decoded, or is one error; a graph altered on purpose decodes something, or is one error.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from functools import cache
from random import Random
from typing import Any

import numpy as np
from damage import draw_edits, edited
from harness import BrokenPromiseError, Case, Harness
from places import FIXTURES

import s2s_runtime
from s2s_runtime import BundleError, BundleNotFoundError, Model, S2SError
from s2s_runtime.files.json_fields import digest

BUNDLES = {path.stem: path for path in [*FIXTURES.glob("tiny*.s2s"), FIXTURES / "format-1" / "run" / "model.s2s"]}
METHODS = {"stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED}


def files_of(bundle: str) -> dict[str, bytes]:
    """The files of a fixture's bundle."""
    return {path.name: path.read_bytes() for path in sorted(BUNDLES[bundle].iterdir())}


@cache
def zipped(bundle: str, method: str) -> bytes:
    """A fixture's bundle as a zip file, its bytes the same at every call."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", METHODS[method]) as archive:
        for name, content in files_of(bundle).items():
            archive.writestr(zipfile.ZipInfo(name), content, METHODS[method])
    return buffer.getvalue()


def outputs(model: Model) -> list[Any]:
    """What a model gives for some source."""
    source = model.manifest.source
    if source.others:
        return [model.manifest.to_dict()]
    if source.kind == "values":
        return model.predict(np.full((1, 3, source.size), 0.5, np.float32)).round(4).tolist()
    return [result.to_dict() for result in model.generate([[3, 4, 2]], max_length=9)]


@cache
def expected(bundle: str) -> list[Any]:
    """What the sound bundle gives."""
    return outputs(s2s_runtime.load(BUNDLES[bundle]))


def make(random: Random) -> Case:
    """Damage a zip file anywhere, or alter a graph or weights and make their digest anew."""
    bundle = random.choice(sorted(BUNDLES))
    if random.random() < 0.7:
        method = random.choice(sorted(METHODS))
        return {"bundle": bundle, "method": method, "edits": draw_edits(zipped(bundle, method), random)}
    file = random.choice([name for name in files_of(bundle) if name != "manifest.json"])
    return {"bundle": bundle, "file": file, "edits": draw_edits(files_of(bundle)[file], random)}


def with_own_digests(files: dict[str, bytes]) -> dict[str, bytes]:
    """Let a manifest say what its files are now."""
    manifest = json.loads(files["manifest.json"])
    for part in [*manifest["graphs"].values(), manifest.get("weights")]:
        if part is not None:
            content = files[part["file"]]
            part |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    manifest.pop("sha256", None)
    return files | {"manifest.json": json.dumps({**manifest, "sha256": digest(manifest)}).encode()}


def check(case: Case) -> str:
    """Load what was damaged and decode with it."""
    if "file" in case:
        files = files_of(case["bundle"])
        files[case["file"]] = edited(files[case["file"]], case["edits"])
        try:
            outputs(s2s_runtime.load(with_own_digests(files)))
        except S2SError:
            return "altered on purpose: one error"
        return "altered on purpose: decoded"
    try:
        found = outputs(s2s_runtime.load(edited(zipped(case["bundle"], case["method"]), case["edits"])))
    except (BundleError, BundleNotFoundError):
        return "zip: one error"
    if found != expected(case["bundle"]):
        raise BrokenPromiseError("silent: other outputs")
    return "zip: as it was"


HARNESS = Harness(name="damaged bundles", make=make, check=check, prepare=lambda: [*map(expected, BUNDLES)])

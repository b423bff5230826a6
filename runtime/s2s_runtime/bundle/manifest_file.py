"""The bundle: a folder (or a zip file of it) that holds everything needed to decode with one model.

`manifest.json` (see `s2s_runtime.bundle.manifest`) names the ONNX graphs that lie beside it, with size and SHA-256.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from s2s_runtime.bundle.manifest import GraphFile, Manifest, OtherSource, SourceKind, SourceSpec, TargetSpec, TensorSpec
from s2s_runtime.bundle.storage import MANIFEST, BundleFiles, BundleSource, find_files
from s2s_runtime.errors import BundleError, BundleNotFoundError, InputError, raised_as
from s2s_runtime.files.json_fields import digest, parse_json, write_json
from s2s_runtime.spelling import shown

__all__ = [
    "MANIFEST",
    "BundleError",
    "BundleNotFoundError",
    "GraphFile",
    "Manifest",
    "OtherSource",
    "SourceKind",
    "SourceSpec",
    "TargetSpec",
    "TensorSpec",
    "describe_file",
    "read_manifest",
    "sha256_of",
    "write_manifest",
]

_MOST: Final = 2**28  # bytes of a manifest; more is a damaged or a hostile archive


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_file(path: str | os.PathLike[str]) -> GraphFile:
    """Return name, SHA-256 and size of an existing file, for the manifest."""
    return GraphFile(Path(path).name, sha256_of(path), Path(path).stat().st_size)


def write_manifest(folder: str | os.PathLike[str], manifest: Manifest) -> None:
    """Write `manifest.json` with its own SHA-256 into an existing folder: under another name first, then renamed."""
    data = manifest.to_dict()
    write_json(Path(folder) / MANIFEST, {**data, "sha256": digest(data)})


def read_manifest(
    bundle: BundleSource | BundleFiles,
    *,
    verify_hashes: bool = True,
    without: Collection[str] = (),
    keep: bool = False,
) -> Manifest:
    """Read a bundle's manifest and check that its graph files are those it names.

    Args:
        bundle: as `s2s_runtime.load` takes it, or the files of one.
        verify_hashes: whether each file's SHA-256 is computed and compared; sizes are always compared.
        without: names of graphs whose files may be missing or altered.
        keep: whether the files of a bundle given as such hold their content from then on: what was compared is what
            they give, whatever becomes of the place they were read from.

    Raises:
        BundleNotFoundError: there is no such bundle, or it holds no manifest.
        BundleError: the manifest is malformed, or graph files are missing or altered; lists every problem.
    """
    listed = isinstance(without, Mapping | list | tuple | set | frozenset)
    if not listed or not all(isinstance(name, str) for name in without):
        raise InputError(f"without: expected names of graphs, got {shown(without)}")
    for name, value in (("verify_hashes", verify_hashes), ("keep", keep)):
        if not isinstance(value, bool):
            raise InputError(f"{name}: expected True or False, got {shown(value)}")
    files = bundle if isinstance(bundle, BundleFiles) else find_files(bundle)
    size, path = files.size(MANIFEST), f"{files.name}/{MANIFEST}"
    if size is None:
        raise BundleNotFoundError(f"{files.name}: no {MANIFEST} in it; expected a bundle written by s2s-export")
    if size > _MOST:
        raise BundleError(f"{path}: expected at most {_MOST} bytes, got {size}")
    with raised_as(BundleError):
        content = parse_json(files.read(MANIFEST), path)
    try:
        manifest = Manifest.from_dict(content)
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error
    needed = [graph for name, graph in manifest.graphs.items() if name not in without]
    if manifest.weights is not None and needed:
        needed.append(manifest.weights)
    problems = [problem for file in needed for problem in _altered(files, file, verify_hashes, keep)]
    if problems:
        raise BundleError(f"{files.name}: {'; '.join(problems)}; export the model again or copy the whole folder")
    return manifest


def _altered(files: BundleFiles, graph: GraphFile, verify_hash: bool, keep: bool) -> list[str]:
    size = files.size(graph.file)
    if size is None:
        return [f"{graph.file} is missing"]
    if keep and size == graph.bytes:
        size = len(files.read(graph.file))
    if size != graph.bytes:
        return [f"{graph.file} was altered: {size} bytes, the manifest says {graph.bytes}"]
    if verify_hash and files.sha256(graph.file) != graph.sha256:
        return [f"{graph.file} was altered: its SHA-256 is not the one in the manifest"]
    return []

"""The bundle: a folder (or a zip file of it) that holds everything needed to decode with one model.

`manifest.json` (see `s2s_runtime.bundle.manifest`) names the ONNX graphs that lie beside it, with size and SHA-256.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
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
    "checked_bundle",
    "describe_file",
    "read_manifest",
    "sha256_of",
    "write_manifest",
]

_MOST: Final = 2**28  # bytes of a manifest; more is a damaged or a hostile archive
_LARGE: Final = 2**20  # bytes whose digest takes longer than starting a thread for it


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
    bundle: BundleSource | BundleFiles, *, verify_hashes: bool = True, without: Collection[str] = ()
) -> Manifest:
    """Read a bundle's manifest and check that its graph files are those it names.

    Args:
        bundle: as `s2s_runtime.load` takes it, or the files of one.
        verify_hashes: whether each file's SHA-256 is computed and compared; sizes are always compared.
        without: names of graphs whose files may be missing or altered.

    Raises:
        BundleNotFoundError: there is no such bundle, or it holds no manifest.
        BundleError: the manifest is malformed, or graph files are missing or altered; lists every problem.
    """
    listed = isinstance(without, Mapping | list | tuple | set | frozenset)
    if not listed or not all(isinstance(name, str) for name in without):
        raise InputError(f"without: expected names of graphs, got {shown(without)}")
    files = bundle if isinstance(bundle, BundleFiles) else find_files(bundle)
    manifest = _manifest(files)
    _refuse(files, _problems(files, _needed(manifest, without), verify_hashes))
    return manifest


@contextmanager
def checked_bundle(files: BundleFiles, *, verify_hashes: bool, without: Collection[str]) -> Iterator[Manifest]:
    """Read all files of a bundle, and yield its manifest to a block that opens them.

    What was compared is what `files` give from then on, whatever becomes of the place they were read from. Graphs are
    compared before the block; large weights, which are numbers and nothing else, on another core while it runs. It only
    ends well where they fit, and their error is told before those that the block may have raised for their sake.

    Raises:
        BundleNotFoundError, BundleError: as `read_manifest`.
    """
    manifest = _manifest(files)
    needed = _needed(manifest, without)
    for file in needed:
        if files.size(file.file) == file.bytes:
            files.read(file.file)
    beside = [file for file in needed if file is manifest.weights and file.bytes >= _LARGE]
    first = [file for file in needed if file not in beside]
    if problems := _problems(files, first, verify_hashes):
        _refuse(files, [*problems, *_problems(files, beside, verify_hashes)])
    found: list[str] = []
    comparison = Thread(target=lambda: found.extend(_problems(files, beside, verify_hashes)))
    if beside:
        comparison.start()
    try:
        yield manifest
    finally:
        if beside:
            comparison.join()
        _refuse(files, found)


def _manifest(files: BundleFiles) -> Manifest:
    """Return a bundle's manifest, its files not looked at."""
    size, path = files.size(MANIFEST), f"{files.name}/{MANIFEST}"
    if size is None:
        raise BundleNotFoundError(f"{files.name}: no {MANIFEST} in it; expected a bundle written by s2s-export")
    if size > _MOST:
        raise BundleError(f"{path}: expected at most {_MOST} bytes, got {size}")
    with raised_as(BundleError):
        content = parse_json(files.read(MANIFEST), path)
    try:
        return Manifest.from_dict(content)
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error


def _needed(manifest: Manifest, without: Collection[str]) -> list[GraphFile]:
    """Return the files that have to be there as the manifest says."""
    needed = [graph for name, graph in manifest.graphs.items() if name not in without]
    return [*needed, manifest.weights] if manifest.weights is not None and needed else needed


def _refuse(files: BundleFiles, problems: Sequence[str]) -> None:
    if problems:
        raise BundleError(f"{files.name}: {'; '.join(problems)}; export the model again or copy the whole folder")


def _problems(files: BundleFiles, needed: Sequence[GraphFile], verify_hashes: bool) -> list[str]:
    if not isinstance(verify_hashes, bool):
        raise InputError(f"verify_hashes: expected True or False, got {shown(verify_hashes)}")
    return [problem for file in needed for problem in _altered(files, file, verify_hashes)]


def _altered(files: BundleFiles, graph: GraphFile, verify_hash: bool) -> list[str]:
    size = files.size(graph.file)
    if size is None:
        return [f"{graph.file} is missing"]
    if size != graph.bytes:
        return [f"{graph.file} was altered: {size} bytes, the manifest says {graph.bytes}"]
    if verify_hash and files.sha256(graph.file) != graph.sha256:
        return [f"{graph.file} was altered: its SHA-256 is not the one in the manifest"]
    return []

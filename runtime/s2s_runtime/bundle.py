"""The bundle on disk: a folder that holds everything needed to decode with one model.

`manifest.json` (see `s2s_runtime.manifest`) names the ONNX graphs that lie beside it, with size and SHA-256 each.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Final

from s2s_runtime.errors import BundleError, BundleNotFoundError
from s2s_runtime.json_fields import write_json
from s2s_runtime.manifest import GraphFile, Manifest, SourceSpec, TargetSpec, TensorSpec

__all__ = [
    "MANIFEST",
    "BundleError",
    "BundleNotFoundError",
    "GraphFile",
    "Manifest",
    "SourceSpec",
    "TargetSpec",
    "TensorSpec",
    "describe_file",
    "read_manifest",
    "sha256_of",
    "write_manifest",
]

MANIFEST: Final = "manifest.json"


def sha256_of(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_file(path: str | os.PathLike[str]) -> GraphFile:
    """Name, SHA-256 and size of a file that exists, for the manifest."""
    return GraphFile(Path(path).name, sha256_of(path), Path(path).stat().st_size)


def write_manifest(folder: str | os.PathLike[str], manifest: Manifest) -> None:
    """Write `manifest.json` into an existing folder: beside the place first, then renamed."""
    write_json(Path(folder) / MANIFEST, manifest.to_dict())


def read_manifest(folder: str | os.PathLike[str], *, verify_hashes: bool = True) -> Manifest:
    """Read a bundle's manifest and check that its graph files are those it names.

    Args:
        folder: the bundle.
        verify_hashes: whether each file's SHA-256 is computed and compared; sizes are always compared.

    Raises:
        BundleNotFoundError: there is no such folder, or it holds no manifest.
        BundleError: the manifest is malformed, or graph files are missing or altered; lists every problem.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BundleNotFoundError(f"{folder}: no such folder; expected a bundle written by s2s-export")
    if not (folder / MANIFEST).is_file():
        raise BundleNotFoundError(f"{folder}: no {MANIFEST} in it; expected a bundle written by s2s-export")
    try:
        manifest = Manifest.from_dict(json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BundleError(f"{folder / MANIFEST}: not a JSON file in UTF-8: {error}") from error
    except BundleError as error:
        raise BundleError(f"{folder / MANIFEST}: {error}") from error
    problems = [problem for graph in manifest.graphs.values() for problem in _altered(folder, graph, verify_hashes)]
    if problems:
        raise BundleError(f"{folder}: {'; '.join(problems)}; export the model again or copy the whole folder")
    return manifest


def _altered(folder: Path, graph: GraphFile, verify_hash: bool) -> list[str]:
    path = folder / graph.file
    if not path.is_file():
        return [f"{graph.file} is missing"]
    if path.stat().st_size != graph.bytes:
        return [f"{graph.file} was altered: {path.stat().st_size} bytes, the manifest says {graph.bytes}"]
    if verify_hash and sha256_of(path) != graph.sha256:
        return [f"{graph.file} was altered: its SHA-256 is not the one in the manifest"]
    return []

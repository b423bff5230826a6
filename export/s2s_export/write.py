"""Writes a bundle so that it is either whole or absent."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from s2s_export.errors import ExportError

if TYPE_CHECKING:
    import onnx
from s2s_runtime.bundle import GraphFile, describe_file


def refuse_existing(path: Path, *, force: bool) -> None:
    """Checks the place of a bundle before any work is done.

    Raises:
        ExportError: something is there and may not be replaced, or the folder above is missing.
    """
    if path.exists() and not force:
        raise ExportError(f"{path} exists already; choose another place with -o, or replace it with --force")
    if path.exists() and not (path / "manifest.json").is_file():
        raise ExportError(f"{path} exists and is no bundle; --force replaces bundles only")
    if not path.parent.is_dir():
        raise ExportError(f"{path.parent}: no such folder to write {path.name} into; create it first")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path` that takes its place when the block ends well, and vanishes when it doesn't."""
    work = Path(tempfile.mkdtemp(prefix=f".{path.name}.tmp-", dir=path.parent))
    try:
        yield work
        work.chmod(0o777 & ~_umask())
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}.old-", dir=path.parent))
            os.replace(path, old / path.name)
            os.replace(work, path)
            shutil.rmtree(old)
        else:
            os.replace(work, path)
    finally:
        shutil.rmtree(work, ignore_errors=True)  # gone already where the block ended well


def write_graphs(folder: Path, models: dict[str, onnx.ModelProto]) -> dict[str, GraphFile]:
    """Writes each graph as NAME.onnx and describes it for the manifest."""
    files = {}
    for name, model in models.items():
        file = folder / f"{name}.onnx"
        file.write_bytes(model.SerializeToString())
        files[name] = describe_file(file)
    return files


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

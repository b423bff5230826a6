"""A graph and its constants as files, for as long as onnxruntime opens them.

For graphs too large for one message.
"""

from __future__ import annotations

import atexit
import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_GRAPH: Final = "graph.onnx"


@contextmanager
def private_copy(graph: bytes, weights: Mapping[str, bytes]) -> Iterator[Path]:
    """Give the path of a graph in a folder of its own, which nobody else may open and which goes with the block.

    Args:
        graph: the ONNX file's content.
        weights: content of the files that lie beside it, by name.

    Raises:
        OSError: there is no place for temporary files.
    """
    tempfile, shutil = map(importlib.import_module, ("tempfile", "shutil"))  # hardly any model needs them
    folder = Path(tempfile.mkdtemp(prefix="s2s-")).resolve()  # onnxruntime refuses a way over symbolic links
    try:
        for file, content in {**weights, _GRAPH: graph}.items():
            (folder / file).write_bytes(content)
        yield folder / _GRAPH
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():  # Windows keeps files that are mapped
            atexit.register(shutil.rmtree, folder, ignore_errors=True)

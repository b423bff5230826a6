"""The stages of an export in a notebook: one line of the cell, which changes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Progress = Callable[[str], None]


@contextmanager
def in_cell(given: Progress | None) -> Iterator[Progress]:
    """Yield what to call as each stage begins: what is given, or what shows the stage in a notebook's cell.

    When the block ends the line says how long each stage took. Outside a notebook nothing is shown.
    """
    display = None if given is not None else _display()
    if display is None:
        yield given or (lambda _: None)
        return
    line = _Line(display)
    try:
        yield line.begin
    finally:
        line.end()


def _display() -> Callable[..., Any] | None:
    """Return IPython's `display` inside a kernel, else None: a terminal's IPython can't change a line later."""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return ipython.display.display if hasattr(shell, "kernel") else None


class _Line:
    """The line in the cell, which shows the present stage."""

    def __init__(self, display: Callable[..., Any]) -> None:
        self._stages: list[tuple[str, float]] = []
        self._handle = display(_Text("starting"), display_id=True)

    def begin(self, stage: str) -> None:
        self._stages.append((stage, time.perf_counter()))
        self._handle.update(_Text(f"{stage} ..."))

    def end(self) -> None:
        starts = [start for _, start in self._stages] + [time.perf_counter()]
        took = (f"{name} {starts[i + 1] - starts[i]:.1f} s" for i, (name, _) in enumerate(self._stages))
        self._handle.update(_Text(", ".join(took)))


class _Text:
    """A text that a notebook shows without quotes."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text

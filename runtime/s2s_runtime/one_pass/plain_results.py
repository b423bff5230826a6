"""What is made of a plain call when somebody asks for it: symbols, texts, and whatever else nobody asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING
from typing import Any, Protocol

from s2s_runtime.one_pass.plain_pass import Rows
from s2s_runtime.options import DecodingOptions
from s2s_runtime.results import FinishReason, Hypothesis, Result


class Spelling(Protocol):
    """Makes symbols and texts of ids."""

    options: DecodingOptions

    def source_tokens(self, source: Any) -> list[str]:
        """Return the symbols of a source, int64 (time,)."""
        ...

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the symbols of target ids."""
        ...

    def text(self, ids: Sequence[int], tokens: Sequence[str] | None = None) -> str:
        """Return the text of target ids, whose symbols may be known."""
        ...


class PlainFields:
    """The fields of the results of one plain call that were left out.

    Args:
        spelling: makes symbols and texts.
        rows: what was read.
        reasons: why each row ended.
    """

    def __init__(self, spelling: Spelling, rows: Rows, reasons: Sequence[FinishReason]) -> None:
        self._spelling, self._rows, self._reasons = spelling, rows, reasons

    def made(self, owner: Hypothesis | Result, name: str, row: int) -> Any:
        """Return a field of a result, or of its hypothesis."""
        if isinstance(owner, Result):
            return self._source_tokens(row) if name == "source_tokens" else _declared(name)
        if name == "finish_reason":
            return self._reasons[row]
        ids = owner.ids
        if name == "tokens":
            return self._spelling.tokens(ids)
        if name == "text":
            bare = len(ids) - (owner.finish_reason == "end" and self._spelling.options.return_end_token)
            return self._spelling.text(ids[:bare], owner.tokens[:bare])
        return None  # a score, or what else nobody asked for

    def _source_tokens(self, row: int) -> list[str]:
        ids, lengths = self._rows.ids[row], self._rows.lengths
        return self._spelling.source_tokens(ids if lengths is None else ids[: lengths[row]])


def _declared(name: str) -> Any:
    """Return what a field of a result is where nobody gives it."""
    declared = Result.__dataclass_fields__[name]
    return declared.default if declared.default_factory is MISSING else declared.default_factory()

"""pyarrow, imported where it is used."""

from __future__ import annotations

from typing import Any

from s2s_runtime.lazy_modules import import_extra


def import_arrow(part: str = "pyarrow") -> Any:
    """Return pyarrow, or one of its modules, which aren't typed.

    Raises:
        MissingExtraError: it is not installed.
    """
    return import_extra(part, "'s2s-runtime[ray]', or [spark]")

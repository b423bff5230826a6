"""pyarrow, imported where it is used."""

from __future__ import annotations

import importlib
from typing import Any

from s2s_runtime.errors import MissingExtraError


def import_arrow(part: str = "pyarrow") -> Any:
    """Return pyarrow, or one of its modules, which aren't typed.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module(part)
    except ModuleNotFoundError as error:
        raise MissingExtraError("pyarrow is not installed: pip install 's2s-runtime[ray]', or [spark]") from error

"""Decoding a column of Spark's tables: `decode_table`, and `decode_udf` for SQL. Extra `spark`.

Nothing is imported before it is used: neither Spark nor what decodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2s_runtime.spark.tables import decode_table, decode_udf

__all__ = ["decode_table", "decode_udf"]


def __getattr__(name: str) -> Any:
    """Import what this package offers when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from s2s_runtime.spark import tables  # noqa: PLC0415 - see above

    return getattr(tables, name)

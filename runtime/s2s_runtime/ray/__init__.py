"""Decoding on many machines, or many processes, by Ray: columns of Ray Data's datasets, and whole files. Extra `ray`.

Nothing is imported before it is used: neither Ray nor what decodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2s_runtime.ray.datasets import decode_dataset

__all__ = ["decode_dataset"]


def __getattr__(name: str) -> Any:
    """Import what this package offers when it is first asked for."""
    if name != "decode_dataset":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from s2s_runtime.ray.datasets import decode_dataset  # noqa: PLC0415 - see above

    return decode_dataset

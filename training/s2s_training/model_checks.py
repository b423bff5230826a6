"""What is wrong with a combination of model options, a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s2s_training.config import ModelConfig

# Options that only a decoder of one particular kind has, with the value that leaves them out.
_FED_ONLY = {"peek": "none", "bridge": "auto", "tied": False}


def contradictions(config: ModelConfig) -> list[str]:
    """Options of a model section that don't go together."""
    found = []
    if config.kind == "repeat-vector":
        given = [name for name, left_out in _FED_ONLY.items() if getattr(config, name) != left_out]
        found += [f"{name}: 'repeat-vector' has no such thing, expected it left out" for name in given]
    if config.tied and not config.embedding:
        found.append("tied: needs an embedding of the target, expected embedding above 0, got 0")
    if config.bridge == "none" and config.attention == "none" and config.peek == "none":
        found.append(
            "bridge: with 'none' and neither attention nor peek the decoder never sees the source; choose one of them"
        )
    return found

"""What is wrong with a combination of model options, a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s2s_training.config.model import ModelConfig

# Options that only a decoder of one particular kind has, with the value that leaves them out.
_FED_ONLY = {
    **{"peek": "none", "bridge": "auto", "tied": False, "input_feeding": False},
    **{"scheduled_sampling": 0.0, "free_running": False},
}


def contradictions(config: ModelConfig) -> list[str]:
    """Options of a model section that don't go together."""
    found = []
    if config.padding == "zeros" and config.embedding:
        found.append(f"padding: 'zeros' needs one-hot input, expected embedding 0, got {config.embedding}")
    if config.kind == "repeat-vector" and (config.attention != "none" or config.padding != "space"):
        found.append(
            f"kind: 'repeat-vector' has no attention and pads with spaces, expected attention 'none' and padding "
            f"'space', got {config.attention!r} and {config.padding!r}"
        )
    if config.attention == "dot" and config.decoder_units not in (None, config.memory_units):
        found.append(
            f"decoder_units: dot attention needs as many as the encoder's outputs have, {config.memory_units}, got "
            f"{config.decoder_units}; use that many, or attention 'general'"
        )
    if config.kind == "repeat-vector":
        given = [name for name, left_out in _FED_ONLY.items() if getattr(config, name) != left_out]
        found += [f"{name}: 'repeat-vector' has no such thing, expected it left out" for name in given]
    if config.tied and not config.embedding:
        found.append("tied: needs an embedding of the target, expected embedding above 0, got 0")
    if config.bridge == "none" and config.attention == "none" and config.peek == "none":
        found.append(
            "bridge: with 'none' and neither attention nor peek the decoder never sees the source; choose one of them"
        )
    if config.free_running and config.scheduled_sampling:
        found.append("scheduled_sampling: a free-running decoder reads no targets to be replaced, expected 0")
    if config.input_feeding and config.attention == "none":
        found.append("input_feeding: expected an attention to feed, got 'none'")
    if config.attention == "multi-head" and feeds_back(config):
        found.append(
            "attention: 'multi-head' goes neither with input_feeding, scheduled_sampling nor free_running; expected "
            "'dot', 'general' or 'additive'"
        )
    if config.peek != "none" and feeds_back(config):
        found.append(
            f"peek: goes neither with input_feeding, scheduled_sampling nor free_running, expected 'none', got "
            f"{config.peek!r}"
        )
    return found


def feeds_back(config: ModelConfig) -> bool:
    """Whether a decoder step reads more of the step before than recurrent states."""
    return config.input_feeding or config.free_running or config.scheduled_sampling > 0

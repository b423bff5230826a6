"""The interplay of kinds of models and options: which options have no meaning for a kind, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, Final

from s2s_runtime.declared_options import differs
from s2s_training.config.data import DataConfig
from s2s_training.config.fit import FitConfig
from s2s_training.config.model import Kind, ModelConfig

_FEEDING: Final = ("peek", "bridge", "tied", "input_feeding", "scheduled_sampling", "free_running")  # of a fed decoder
_DECODER: Final = (*_FEEDING, "decoder_units", "decoder_layers", "attention", "heads", "sampling_steps")
_SOURCE: Final = (
    *("target_file", "source_column", "target_column", "source_unit", "source_model", "source_normalization"),
    *("source_factors", "factor_separator", "factor_embedding"),
    *("reverse", "max_source_length", "digits"),
)
_STREAM: Final = ("carry", "window")
_MEANINGLESS: Final[Mapping[Kind, Mapping[str, tuple[str, ...]]]] = {
    "encoder-decoder": {
        "it reads pairs, each from the beginning": _STREAM,
        "its targets may be longer than their sources": ("upsample",),
    },
    "repeat-vector": {
        "no target is fed to its decoder": (*_FEEDING, "sampling_steps"),
        "its decoder sees the source's last output alone": ("attention", "heads"),
        "it reads pairs, each from the beginning": _STREAM,
        "it writes a fixed number of symbols": ("upsample",),
    },
    "same-length": {
        "it has no decoder": _DECODER,
        "it writes a symbol for each that it reads, in their order": ("upsample", "reverse"),
        "it reads pairs, each from the beginning": _STREAM,
        "lengths of pairs are compared in memory": ("shuffle_buffer",),
    },
    "ctc": {
        "it has no decoder": _DECODER,
        "it writes in the order in which it reads": ("reverse",),
        "how many frames a symbol has follows from its pairs": ("start_from",),
        "its loss is over all alignments": ("label_smoothing", "r_drop"),
        "its loss was not tried on several": ("devices",),
        "it reads pairs, each from the beginning": _STREAM,
        "lengths of pairs are compared in memory": ("shuffle_buffer",),
    },
    "language-model": {
        "it has no source": (*_SOURCE, "encoder_layers", "upsample", "attention", "heads", "peek"),
        "it reads what stands before alone": ("bidirectional",),
        "it starts from zeros": ("bridge",),
        "it is fed its text alone": ("input_feeding", "scheduled_sampling", "sampling_steps", "free_running"),
        "`units` is its width": ("decoder_units",),
        "nothing that it writes is right or wrong": ("decode_valid", "score"),
        "its batches are windows of one length": ("buckets",),
        "nothing in its windows is padding": ("padding",),
        "its text lies on the disk in any case": ("shuffle_buffer",),
        "states that are carried from batch to batch aren't kept": ("backup_steps",),
        "each window goes through it once": ("r_drop",),
        "states are carried from batch to batch on one device": ("devices", "mixed_precision"),
    },
}
WITHOUT: Final[Mapping[Kind, Mapping[str, str]]] = MappingProxyType(
    {kind: {name: why for why, names in groups.items() for name in names} for kind, groups in _MEANINGLESS.items()}
)
"""For each kind the options that have no meaning for it, by name, each with the reason."""

_MASKED_ONLY: Final = frozenset[Kind]({"same-length", "ctc"})
_DEFAULTS: Final[Mapping[str, Any]] = {
    field.name: field.default for section in (DataConfig, ModelConfig, FitConfig) for field in fields(section)
}


def misfits(kind: Kind, values: Mapping[str, Any]) -> list[str]:
    """Return one line for each option of a configuration that a kind of model can't do with.

    Such an option differs from its default and has no meaning there, or has a value that the kind lacks.

    Args:
        kind: of the model.
        values: every option of the configuration, by name.
    """
    problems = [
        f"{name}: no meaning with model {kind!r}, as {why}; leave it out"
        for name, why in WITHOUT[kind].items()
        if differs(values[name], _DEFAULTS[name])
    ]
    if kind in _MASKED_ONLY and values["padding"] != "mask":
        problems.append(f"padding: expected 'mask' with model {kind!r}, got {values['padding']!r}")
    if kind == "language-model" and values["select"] == "error":
        problems.append(
            f"select: expected 'loss' or 'last' with model {kind!r}, as nothing that it writes is right or wrong"
        )
    if kind == "language-model" and not values["embedding"]:
        problems.append(f"embedding: expected above 0 with model {kind!r}, got 0")
    return problems


def has_meaning(name: str, kind: Kind) -> bool:
    """Return whether an option has a meaning for a kind of model."""
    return name not in WITHOUT.get(kind, {})

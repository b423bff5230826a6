"""A bundle in one line."""

from __future__ import annotations

from collections.abc import Sequence

from s2s_runtime.bundle.specs import SourceSpec, TargetSpec, TensorSpec
from s2s_runtime.spelling import counted
from s2s_runtime.vocabulary.vocabulary import Vocabulary


def summary_of(
    kind: str,
    source: tuple[SourceSpec, Vocabulary | None],
    target: tuple[TargetSpec, Vocabulary | None],
    states: Sequence[TensorSpec],
    computed: Sequence[str],
    *,
    further: int,
) -> str:
    """Return what a model reads and writes, what its decoder reads next, and its states.

    Args:
        kind: of the bundle.
        source: what is read, and its vocabulary.
        target: what is written, and its vocabulary.
        states: of the decoder.
        computed: words on what is computed, and how.
        further: outputs beside the first.
    """
    read = _counted(source[0].size, source[0].kind in ("values", "vector"), source[1])
    written = _counted(target[0].size, target[0].feedback == "value", target[1])
    between = written if kind == "decoder-only" else f"{read} to {written}"
    between += f" and {further} more" if further else ""
    sizes = " + ".join(str(state.shape[-1]) for state in states)
    stepped = [f"feedback {target[0].feedback}", f"states {sizes}"] if states else []
    return ", ".join([*([] if kind == "encoder-decoder" else [kind]), between, *stepped, *computed])


def _counted(size: int, is_value: bool, vocabulary: Vocabulary | None) -> str:
    """Return a size with its unit: the vocabulary's, where there is one."""
    return counted(size, ("feature" if is_value else "id") if vocabulary is None else vocabulary.unit_name)

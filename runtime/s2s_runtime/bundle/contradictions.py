"""What in a manifest contradicts itself: graphs that its kind lacks, sizes that differ, fields that exclude others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from s2s_runtime.bundle.specs import GraphFile, Kind, OtherSource, SourceSpec, TargetSpec, TensorSpec
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.spelling import did_you_mean
from s2s_runtime.vocabulary.padding import PaddingPolicy
from s2s_runtime.vocabulary.vocabulary import Vocabulary

if TYPE_CHECKING:
    from s2s_runtime.bundle import factors
else:
    factors = LazyModule("bundle.factors")

Tensors = Sequence[TensorSpec]

_SEARCHES: Final = ("greedy", "greedy_scores", "sample", "sample_top", "beam")
_STEPPED: Final = ("decoder", "select_state", "select_memory", *_SEARCHES)
_GRAPHS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "encoder-decoder": ("encoder", *_STEPPED),
    "one-pass": ("model", "step"),
    "decoder-only": ("encoder", *_STEPPED),
    "ctc": ("model",),
}


def graph_problems(
    kind: Kind, graphs: Mapping[str, GraphFile], target: TargetSpec, states: Tensors, memory: Tensors
) -> list[str]:
    """Return which graphs, states and memory a model of that kind lacks, or has and can't have."""
    stepped = kind in ("encoder-decoder", "decoder-only")
    names = _GRAPHS[kind]
    needed = [name for name in names if name not in ("select_memory", *_SEARCHES, "step")]
    needed += ["select_memory"] if memory and stepped else []
    problems = [f"graphs.{name}: missing" for name in needed if name not in graphs]
    problems += [
        f"graphs.{name}: no such graph{did_you_mean(name, names) or '; expected ' + ', '.join(names)}"
        for name in graphs
        if name not in names
    ]
    if stepped and not states:
        problems.append("states: expected at least one")
    problems += [] if stepped else _problems_of_one_pass(kind, graphs, target, states, memory)
    for key, tensors, prefix in (("states", states, "state"), ("memory", memory, "memory")):
        for i, tensor in enumerate(tensors):
            if tensor.name != f"{prefix}.{i}":
                problems.append(f"{key}[{i}].name: expected '{prefix}.{i}', got {tensor.name!r}")
    return problems


def _problems_of_one_pass(
    kind: Kind, graphs: Mapping[str, GraphFile], target: TargetSpec, states: Tensors, memory: Tensors
) -> list[str]:
    """Return what contradicts that nothing is fed back and nothing is carried from step to step."""
    carried = [name for name, tensors in (("states", states), ("memory", memory)) if tensors]
    if states and "step" in graphs:
        carried.remove("states")
    problems = [f"{name}: expected none, as kind is {kind!r}" for name in carried]
    if "step" in graphs and not states:
        problems.append("states: expected at least one, as graphs.step carries them")
    allowed = ("none",) if kind == "ctc" else ("none", "value")
    if target.feedback not in allowed:
        problems.append(
            f"target.feedback: expected {' or '.join(map(repr, allowed))}, as kind is {kind!r}; got {target.feedback!r}"
        )
    return problems


def source_problems(source: SourceSpec, padding: PaddingPolicy) -> list[str]:
    """Return what the sources contradict, each with what fills it."""
    problems = [*source.problems(), *_padding_problems("", source, padding)]
    for i, other in enumerate(source.others):
        problems += _padding_problems(f"source.others[{i}].", other, other.padding)
    return problems


def vocabulary_problems(
    source: SourceSpec, target: TargetSpec, read: Vocabulary | None, written: Vocabulary | None
) -> list[str]:
    """Return where vocabularies have another size than what they name."""
    problems = []
    if read is not None and source.kind in ("values", "vector"):
        problems.append("vocabulary.source: expected null, as the source is values")
    for name, vocabulary, size in (
        ("source", read, source.size),
        ("target", written, target.size),
    ):
        if vocabulary is not None and len(vocabulary) != size:
            problems.append(f"vocabulary.{name}: expected {size} symbols ({name}.size), got {len(vocabulary)}")
    return problems if read is None or not read.factor_names else [*problems, *factors.factor_problems(read, source)]


def _padding_problems(where: str, source: SourceSpec | OtherSource, padding: PaddingPolicy) -> list[str]:
    fills = padding.masked or padding.length is not None
    if source.kind in ("values", "vector"):
        return [] if padding.id is None else [f"{where}padding.id: expected null for values, got {padding.id}"]
    lowest = -1 if source.kind == "one-hot" else 0
    if (fills and padding.id is None) or (padding.id is not None and not lowest <= padding.id < source.size):
        return [f"{where}padding.id: expected {lowest} to {source.size - 1} (its size), got {padding.id}"]
    return []

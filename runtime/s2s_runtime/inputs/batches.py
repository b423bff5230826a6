"""Batches: sentences sorted, cut and padded, so that little is computed for padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Ints
from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.errors import OptionError
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.inputs.memory_bound import most_tokens, steps_of
from s2s_runtime.inputs.sources import Source, Sources
from s2s_runtime.options import DecodingOptions
from s2s_runtime.vocabulary.padding import PaddingPolicy

_ANY: Final = 2**31 - 1  # tokens: as many as there are


def make_batches(
    sources: Sources, prefixes: Sequence[Sequence[int]], options: DecodingOptions, manifest: Manifest
) -> list[Batch]:
    """Cut sentences into batches, longest first, empty ones left out.

    Models that mask their padding, or that fix its length, take sentences of different lengths together; others only
    sentences of the same length.

    Raises:
        OptionError: a prefix is as long as its sentence may get, or longer.
    """
    arrays = sources.arrays
    limits, alike, steps = _told(sources, options, manifest)
    for i, prefix in enumerate(prefixes):
        if len(prefix) > limits[i]:
            raise OptionError(f"prefix[{i}]: {len(prefix)} tokens, but the target may have {limits[i]}; shorten it")
    indices = [i for i in range(len(arrays)) if len(arrays[i])]
    indices.sort(key=lambda i: (-len(arrays[i]), alike[i]))
    batches = []
    for group in _cut(indices, steps, alike, options, manifest):
        array, columns = pad([arrays[i] for i in group], manifest.padding)
        batches.append(
            Batch(
                source=array,
                columns=columns,
                limits=np.array([limits[i] for i in group], np.int64),
                prefix=pad_prefixes([prefixes[i] for i in group]),
                indices=np.array(group, np.int64),
                others=pad_others([sources.others[i] for i in group], manifest),
            )
        )
    return batches


def _told(
    sources: Sources, options: DecodingOptions, manifest: Manifest
) -> tuple[list[int], list[tuple[int, ...]], list[int]]:
    """Return the `target_limit`, the `lengths_to_share` and the `steps_of` each sentence.

    Where nothing is read beside a source they depend on its length alone, and are found once for each length.
    """
    limits: list[int] = []
    alike: list[tuple[int, ...]] = []
    steps: list[int] = []
    seen: dict[int, int] = {}  # the first sentence of each length
    for i, (source, others) in enumerate(zip(sources.arrays, sources.others, strict=True)):
        first = i if others else seen.setdefault(len(source), i)
        is_new = first == i
        limits.append(target_limit(len(source), options, manifest, others) if is_new else limits[first])
        alike.append(lengths_to_share(source, others, manifest) if is_new else alike[first])
        steps.append(steps_of(source, others) if is_new else steps[first])
    return limits, alike, steps


def target_limit(
    source_length: int, options: DecodingOptions, manifest: Manifest, others: Sequence[Source] = ()
) -> int:
    """Return the most tokens that the target of a source of this length may have.

    Args:
        source_length: of the first source.
        options: how to decode.
        manifest: of the bundle.
        others: what is read beside the first source: a target has no step for which something known is missing.

    Raises:
        OptionError: more are asked for than the decoder can take steps.
    """
    check_most(options.max_length, "max_length", manifest)
    specs = zip(others, manifest.source.others, strict=False)
    limits = [len(known) for known, spec in specs if spec.known]
    limits += [limit for limit in (options.max_length or manifest.target.max_length,) if limit is not None]
    if manifest.target.aligned and manifest.padding.masked:
        limits.append(source_length)
    if options.max_length_ratio is not None:
        ratio = options.max_length_ratio
        factor, more = ratio if isinstance(ratio, tuple) else (ratio, 0.0)
        limits.append(max(1, int(factor * source_length + more)))
    return min(limits, default=_ANY)  # a model of one pass tells how many outputs it gives by giving them


def check_most(steps: int | None, name: str, manifest: Manifest) -> None:
    """Refuse more steps than a decoder can take.

    Args:
        steps: how many were asked for; None = nobody asked.
        name: of the option.
        manifest: of the bundle.

    Raises:
        OptionError: they are more.
    """
    most = manifest.target.most
    if steps is not None and most is not None and steps > most:
        raise OptionError(
            f"{name}: expected at most {most}, the steps that this bundle's decoder was exported for, got {steps}; "
            "export it again with a larger max_length where the model allows it"
        )


def lengths_to_share(source: Source, others: Sequence[Source], manifest: Manifest) -> tuple[int, ...]:
    """Return the lengths that a sentence's batch must share: of inputs whose padding the model reads, if not fixed."""
    own = [(source, manifest.padding)]
    for array, other in zip(others, manifest.source.others, strict=True):
        if other.kind != "vector" and not other.aligned:  # what goes with the source step by step is as long as it
            own.append((array, other.padding))
    return tuple(len(array) for array, policy in own if not policy.masked and policy.length is None)


def _cut(
    indices: Sequence[int],
    lengths: Sequence[int],
    alike: Sequence[tuple[int, ...]],
    options: DecodingOptions,
    manifest: Manifest,
) -> Iterator[list[int]]:
    """Cut indices, sorted longest first, into groups of at most so many sentences and tokens as options allow."""
    group: list[int] = []
    if len(indices) < 2:
        yield from ([index] for index in indices)
        return
    most, fixed = most_tokens(options, manifest), manifest.padding.length or 0
    most = min(most, options.max_batch_size) if options.batch_by == "tokens" else most
    count = len(lengths) if options.batch_by == "tokens" else options.max_batch_size
    longest = fixed
    for index in indices:
        longest = max(longest, lengths[index])
        full = len(group) >= count or (len(group) + 1) * longest > most
        if group and (full or alike[index] != alike[group[0]]):
            yield group
            group, longest = [], max(fixed, lengths[index])
        group.append(index)
    if group:
        yield group


def pad(sources: Sequence[Source], policy: PaddingPolicy) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Put sources into one array, padded as a policy says.

    Returns:
        The array, int64 (sentences, time) or float32 (sentences, time, features), and bool (sentences, time), which is
        False at padding.
    """
    time = policy.length or max(len(source) for source in sources)
    first = sources[0]
    fill = 0 if first.ndim == 2 or policy.id is None else policy.id
    array = np.full((len(sources), time, *first.shape[1:]), fill, first.dtype)
    lengths = np.array([[len(source)] for source in sources])
    steps = np.arange(time)
    columns = steps < lengths if policy.side == "right" else steps >= time - lengths
    array[columns] = np.concatenate(sources)
    return array, columns


def pad_others(others: Sequence[Sequence[Source]], manifest: Manifest) -> tuple[NDArray[Any], ...]:
    """Return one array for each input that the encoder reads beside its first source, padded, sentences first."""
    columns = zip(*others, strict=True)
    specs = manifest.source.others
    return tuple(
        np.stack(rows) if spec.kind == "vector" else pad(rows, spec.padding)[0]
        for spec, rows in zip(specs, columns, strict=True)
    )


def pad_prefixes(prefixes: Sequence[Sequence[int]]) -> Ints | None:
    """Return prefixes as int64 (sentences, longest), -1 after the last token of each; None where all are empty."""
    longest = max(len(prefix) for prefix in prefixes)
    if longest == 0:
        return None
    array = np.full((len(prefixes), longest), -1, np.int64)
    for row, prefix in enumerate(prefixes):
        array[row, : len(prefix)] = prefix
    return array

"""Models that write several tokens a step, such as a note and its duration: read as models of one token that is both.

Given what was written before, such heads choose apart from each other, so the probability of a pair is the product of
theirs. A decoder of pairs is therefore the same model: it takes the token apart where it reads it, and puts it together
where it writes it. Every search, score and rule then holds for pairs as for any token.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations, product
from typing import Any, Final

import keras
import numpy as np
from keras import layers, ops

from s2s_export.errors import ExportError
from s2s_export.options import ExportOptions
from s2s_runtime.spelling import option, option_by_name
from s2s_runtime.vocabulary.padding import PaddingPolicy
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary, VocabularyFile
from s2s_training.splitting.attention_weights import is_distribution, noise_for
from s2s_training.splitting.decoded_output import JOINT, output_name, widths_read
from s2s_training.splitting.graph import Graph, Value, flatten_model
from s2s_training.splitting.partition import fed_readings
from s2s_training.splitting.source_inputs import holds_ids, read_beside

_BETWEEN: Final = "|"  # stands between the symbols that a joined one is made of
_MOST: Final = 100_000  # joined symbols; each step chooses among all


def with_joined_outputs(model: keras.Model, options: ExportOptions) -> tuple[keras.Model, ExportOptions, list[str]]:
    """Return a model of one token a step for one of several, where `decoder_output` joins the names of its outputs.

    Args:
        model: the training model.
        options: of the export.

    Returns:
        the model, with one input in place of those that are fed back; options in which the joined token has a symbol,
        such as `5|1` for the ids 5 and 1, and start and end are those of it; and notes for the report. All as they were
        where nothing is joined.

    Raises:
        ExportError: an output isn't one of the model's, or gives no distribution; or which inputs read them can't be
            told.
    """
    names = [name.strip() for name in (options.one_output or "").split(JOINT)]
    graph = flatten_model(model) if len(names) > 1 else None
    if graph is None or options.one_output in [output_name(graph, value) for value in graph.outputs]:
        return model, options, []
    chosen = _chosen(graph, names)
    sizes = [int(value.shape[-1] or 0) for value in chosen]
    if 0 in sizes or math.prod(sizes) > _MOST:
        raise ExportError(
            f"{_given(options)}: expected outputs of a fixed number of symbols, {_MOST:,} at most when joined, got "
            f"{' x '.join(map(str, sizes))}; decode one of them with {option('decoder_output', 'NAME')}"
        )
    read = _inputs(graph, sizes, options)
    joined = _joined(model, graph, read, (chosen, sizes))
    told, ends = _in_joined_symbols(options, sizes)
    told = replace(told, feed={name: fed for name, fed in options.feeds.items() if name not in [v.name for v in read]})
    pairs = ", ".join(f"{name!r} is fed to {value.name!r}" for name, value in zip(names, read, strict=True))
    notes = [f"one token of a bundle is {_BETWEEN.join(names)} of a step: {pairs}"]
    return joined, told, [*notes, *ends]


def _given(options: ExportOptions) -> str:
    return option("decoder_output", str(options.one_output))


def _chosen(graph: Graph, names: Sequence[str]) -> list[Value]:
    """Return the outputs of those names."""
    outputs = {output_name(graph, value): value for value in graph.outputs}
    unknown = [name for name in names if name not in outputs]
    if unknown or len(set(names)) < len(names):
        raise ExportError(
            f"{option('decoder_output')}: expected names of the model's outputs ({', '.join(outputs)}), joined by "
            f"{JOINT}, each once; got {(unknown or names)[0]!r}"
        )
    return [outputs[name] for name in names]


def _inputs(graph: Graph, sizes: Sequence[int], options: ExportOptions) -> list[Value]:
    """Return the inputs that get what the outputs gave a step before, in the order of the outputs."""
    said = [value for value in graph.inputs if options.feeds.get(value.name) == "previous"]
    sets = [said] if said else _read_together(graph, options.decoder_input)
    if len(sets) != 1 or len(sets[0]) != len(sizes):
        feeds = " ".join(option_by_name("feed", {name: "previous"}) for name in ("A", "B"))
        raise ExportError(
            f"{_given(options)}: which {len(sizes)} inputs get what these gave a step before can't be told: say so "
            f"with {feeds}, in the order of the model's inputs ({', '.join(value.name for value in graph.inputs)})"
        )
    widths = {value: widths_read(graph, value) for value in sets[0]}
    for order in permutations(sets[0]):  # the model's own order first
        if all(size in widths[value] for size, value in zip(sizes, order, strict=True)):
            return list(order)
    known = ", ".join(f"{value.name} {' or '.join(map(str, sorted(widths[value])))}" for value in sets[0])
    raise ExportError(
        f"{_given(options)}: the outputs give {', '.join(map(str, sizes))} symbols, and the inputs that would read "
        f"them know others ({known}): they are not fed back as they are; decode one of them with "
        f"{option('decoder_output', 'NAME')}, and say with {option('feed', 'NAME=WHAT')} what the other inputs are fed"
    )


def _read_together(graph: Graph, decoder_input: str | None) -> list[list[Value]]:
    """Return the sets of inputs that a decoder reads step by step, each in the model's order."""
    sets = set()
    for reading in fed_readings(graph, decoder_input):
        if not reading.problems and reading.decoder_inputs:
            sets.add(frozenset((*reading.decoder_inputs, *read_beside(graph, reading.decoder_inputs))))
    return [[value for value in graph.inputs if value in each] for each in sets]


def _joined(
    model: keras.Model, graph: Graph, read: Sequence[Value], heads: tuple[Sequence[Value], Sequence[int]]
) -> keras.Model:
    """Return the model around a model that reads and writes joined tokens."""
    chosen, sizes = heads
    token = keras.Input((read[0].shape[1],), dtype="int32", name=".".join(value.name for value in read))
    left, parts = token, dict[Value, Any]()
    for value, size in reversed(list(zip(read, sizes, strict=True))):
        parts[value], left = ops.mod(left, size), ops.floor_divide(left, size)
        parts[value] = (
            ops.cast(parts[value], value.dtype) if holds_ids(graph, value) else ops.one_hot(parts[value], size)
        )
    fresh = {
        value: keras.Input(value.shape[1:], dtype=value.dtype, name=value.name)
        for value in graph.inputs
        if value not in parts
    }
    made = keras.tree.flatten(model([parts.get(value, fresh.get(value)) for value in graph.inputs]))
    logs = []
    for place, size in zip([graph.outputs.index(value) for value in chosen], sizes, strict=True):
        logs.append((ops.log(made[place]) if _gives_probabilities(model, place) else made[place], size))
    whole, count = logs[0]
    for log, size in logs[1:]:
        count *= size
        whole = layers.Reshape((-1, count))(ops.expand_dims(whole, -1) + ops.expand_dims(log, -2))
    return keras.Model([*fresh.values(), token], layers.Softmax()(whole), name=model.name)


def _gives_probabilities(model: keras.Model, place: int) -> bool:
    """Return whether an output gives probabilities, as a run on noise shows; logits elsewhere."""
    return is_distribution(keras.tree.flatten(model(noise_for(model.inputs), training=False))[place])


def _in_joined_symbols(options: ExportOptions, sizes: Sequence[int]) -> tuple[ExportOptions, list[str]]:
    """Return options whose symbols, start and end are those of joined tokens, and sentences on what was taken.

    A start or an end that is given as an id, or as a symbol of the first output, is every output's start, and the first
    output's end.
    """
    file = options.vocabulary or VocabularyFile(None, None, PaddingPolicy(masked=False))
    first = file.target if file.target is not None and len(file.target) == sizes[0] else None
    if file.target is not None and first is None:
        raise ExportError(
            f"{option('target_vocab')}: expected the {sizes[0]} symbols of the first output that is joined, got "
            f"{len(file.target)}; ids stand for those of the others"
        )
    named = [
        str(i) if first is None or first.symbols[i].split() != [first.symbols[i]] else first.symbols[i]
        for i in range(sizes[0])
    ]
    symbols = [_BETWEEN.join((named[i], *map(str, rest))) for i, *rest in product(*map(range, sizes))]
    known = () if first is None else first.symbols
    start, start_symbol = options.start_id, options.start_symbol
    if start is None and start_symbol in known:
        start, start_symbol = known.index(start_symbol), None
    start = first.start_id if start is None and start_symbol is None and first is not None else start
    ends, end_symbol = tuple(options.end_ids), options.end_symbol
    if not ends and end_symbol in known:
        ends, end_symbol = (known.index(end_symbol),), None
    if not ends and end_symbol is None and first is not None and first.end_id is not None:
        ends = (first.end_id,)
    if start is not None and start >= min(sizes):
        raise ExportError(
            f"{option('start_id')}: {start} is no id of each output ({', '.join(map(str, sizes))} symbols): name what "
            f"all start with as a joined symbol, such as {option('start', symbols[-1])}"
        )
    each = math.prod(sizes[1:])
    begin = None if start is None else int(np.ravel_multi_index([start] * len(sizes), sizes))
    ending = tuple(end * each + rest for end in ends for rest in range(each))
    wrong = next((token for token in ending if token >= len(symbols)), None)
    if wrong is not None:
        raise ExportError(f"{option('end_id')}: expected ids of the first output, 0 to {sizes[0] - 1}, got {ends[-1]}")
    target = Vocabulary("symbol", tuple(symbols))
    notes = [] if begin is None else [f"a target starts with {symbols[begin]}"]
    notes += [f"it ends with whatever begins with {named[end]}{_BETWEEN}" for end in ends]
    told = replace(
        options,
        vocabulary=replace(file, target=target),
        start_id=begin,
        start_symbol=start_symbol,
        end_ids=ending,
        end_symbol=end_symbol,
        decoder_output=None,
        decoder_input=None,
    )
    return told, notes

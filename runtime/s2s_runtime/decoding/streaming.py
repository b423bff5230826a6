"""Results as they come: one text in pieces, and any number of sources in windows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from s2s_runtime.declared_options.checks import is_integer, verb_problems
from s2s_runtime.decoding.decoding import Decoding
from s2s_runtime.decoding.joined_parts import join_texts
from s2s_runtime.decoding.request import Request
from s2s_runtime.decoding.run_failures import failures_of
from s2s_runtime.errors import OptionError
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.inputs.given_rows import refuse_unlisted
from s2s_runtime.inputs.sources import Row
from s2s_runtime.options import Prefix
from s2s_runtime.results import Result
from s2s_runtime.search.finished import EndedSequence
from s2s_runtime.search.graph_search import SentenceHypotheses
from s2s_runtime.search.greedy import greedy_stream
from s2s_runtime.search.step_model import nominators
from s2s_runtime.spelling import shown


def generate_windows(
    decoding: Decoding,
    inputs: Iterable[Row | Mapping[str, Row]],
    prefixes: Iterable[Prefix | None] | None,
    read_ahead: int,
) -> Iterator[Result]:
    """Return an iterator over results in order that reads a bounded number of inputs ahead; see `Model.generate_iter`.

    Raises:
        OptionError: `read_ahead` is out of range, or a list of prefixes was given as an option. It is raised at once,
            not when the iterator is used.
        InputError: what was given, or its prefixes, has no rows; at once too.
    """
    check_read_ahead(read_ahead)
    refuse_unlisted(inputs, "inputs")
    if prefixes is not None:
        refuse_unlisted(prefixes, "prefixes")
    refuse_prefix(decoding)
    return _windows(decoding, iter(inputs), None if prefixes is None else iter(prefixes), read_ahead)


def check_read_ahead(read_ahead: int) -> None:
    """Check how many inputs are read before the first is decoded.

    Raises:
        OptionError: it isn't an integer of at least 1.
    """
    if not is_integer(read_ahead) or not 1 <= read_ahead < sys.maxsize:
        raise OptionError(f"read_ahead: expected an integer of at least 1, got {shown(read_ahead)}")


def refuse_prefix(decoding: Decoding) -> None:
    """Refuse a list of prefixes as an option, which needs a list of inputs.

    Raises:
        OptionError: the options hold one.
    """
    if decoding.options.prefix is not None:
        raise OptionError("prefix: goes with a list of inputs; give generate_iter `prefixes`, or use generate")


def _windows(
    decoding: Decoding, inputs: Iterator[Any], prefixes: Iterator[Prefix | None] | None, read_ahead: int
) -> Iterator[Result]:
    first = 0
    while window := list(islice(inputs, read_ahead)):
        forced = None if prefixes is None else list(islice(prefixes, len(window)))
        yield from decoding.decode(window, forced, first)
        first += len(window)


def stream_pieces(
    decoding: Decoding,
    source: Row | Mapping[str, Row],
    prefix: Prefix | None = None,
    first: int = 0,
    on_result: Callable[[Result], object] | None = None,
) -> Iterator[str]:
    """Return an iterator over the text of one source in pieces; see `Model.stream`.

    Args:
        decoding: the model with its options.
        source: a text or ids, or a mapping as `read_sources` takes it.
        prefix: forced first tokens, unless the options hold them.
        first: how many sources came before, for messages.
        on_result: called with the result that the pieces are the text of, once it is known.

    Raises:
        OptionError: an option can't be streamed. It is raised at once, not when the iterator is used.
        InputError, UnknownSymbolError: as `Model.generate`; at once too.
    """
    options = decoding.options
    problems = verb_problems(options, "stream")
    if problems:
        raise OptionError("; ".join(problems))
    if nominators(decoding.model):
        raise OptionError(
            "stream: an ensemble by hypotheses knows a target when it has ended; use 'steps' to see it grow"
        )
    if options.engine == "graph":
        raise OptionError(
            "engine: expected 'auto' or 'steps' for stream, which shows each token as it comes, got 'graph'"
        )
    request = decoding.read([source], [prefix] if options.prefix is None else options.prefix, first)
    own = [request.select([index], [prefix]) for index, prefix in enumerate(request.prefixes)]
    return _pieces(decoding, request, list(map(decoding.batches, own)), on_result)


def _pieces(
    decoding: Decoding,
    request: Request,
    batches: Sequence[Sequence[Batch]],
    on_result: Callable[[Result], object] | None,
) -> Iterator[str]:
    """Yield what the text grows by, source after source where the row was split.

    Args:
        decoding: the model with its options.
        request: one row.
        batches: those of each of its sources: one, or none where it has no tokens.
        on_result: called with the result.
    """
    results: list[Result] = []
    given = ""
    for index, own in enumerate(batches):
        for batch in own:
            for ids, hypotheses in _steps(decoding, request, batch):
                if hypotheses:
                    results.append(decoding.result(request, index, SentenceHypotheses(batch, 0, hypotheses)))
                going = () if hypotheses else (decoding.result_builder.text(ids),)
                text = _joined(decoding, request, [*results, *going])
                settled = text.rstrip("\N{REPLACEMENT CHARACTER}")  # byte pieces: of a character that may become whole
                if len(settled) > len(given):
                    yield settled[len(given) :]
                    given = settled
        if not own:
            results.append(decoding.empty(request, index))
    [result] = decoding.rows(request, results)
    if on_result is not None:
        on_result(result)
    if len(result.text) > len(given):
        yield result.text[len(given) :]


def _steps(decoding: Decoding, request: Request, batch: Batch) -> Iterator[tuple[list[int], list[EndedSequence]]]:
    if decoding.manifest.one_graph:  # all of it comes at once
        for ended in decoding.search([batch], decoding.plan_from(request.first)):
            yield [], ended.hypotheses
        return
    with failures_of([request.first], batch.time):
        yield from greedy_stream(decoding.model, batch, decoding.plan_from(request.first))


def _joined(decoding: Decoding, request: Request, parts: Sequence[Result | str]) -> str:
    texts = [part if isinstance(part, str) else part.text for part in parts]
    return join_texts(texts, request.sources.joints[: len(texts)], decoding.manifest.target_vocabulary)

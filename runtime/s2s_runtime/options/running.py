"""Decoding options: how the work is done; the tokens are the same."""

from dataclasses import dataclass
from typing import Annotated

from s2s_runtime.declared_options import Option
from s2s_runtime.options.terms import LISTS, RUNNING, SCORE, named
from s2s_runtime.options.types import BatchUnit, Engine


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class RunningOptions:
    """The options that say how the work is done; the tokens are the same."""

    engine: Annotated[Engine, Option(panel=RUNNING)] = "auto"
    """Search in one graph, or step by step; auto: the graph where it can. "graph": the bundle's graphs of greedy
    search, draws and beam search write many tokens in one run; "steps": each token is one run of the step graph. The
    tokens are the same. The graphs are faster; the table of options says what they can't do."""

    max_batch_size: Annotated[
        int,
        Option(
            at_least=1,
            group=LISTS,
            panel=RUNNING,
            flags=["--batch-size"],
            verbs=SCORE,
            help="Most sentences (or tokens) decoded at once.",
            elsewhere=named("max_batch_size", "--batch-size, --max-tokens"),
        ),
    ] = 64
    """Most sentences (or tokens, see batch_by) in a batch; longer lists are sorted by length and cut. Several batches
    may be decoded at the same time: see `workers` of `s2s_runtime.load`."""

    max_batch_tokens: Annotated[
        int | None,
        Option(
            at_least=1,
            group=LISTS,
            panel=RUNNING,
            verbs=SCORE,
            help="Most tokens decoded at once; default: what fits into about half a gigabyte.",
        ),
    ] = None
    """Most tokens in a batch, sentences times the longest source among them, beside max_batch_size; a source longer
    than that is decoded by itself. None = as many as fit into about half a gigabyte, by the sizes of the bundle's
    states and memory, so that one long source doesn't take the memory of a whole batch of such."""

    batch_by: Annotated[
        BatchUnit, Option(group=LISTS, help="What --batch-size counts.", panel=RUNNING, elsewhere=named("batch_type"))
    ] = "sentences"
    """What max_batch_size counts: "sentences", or "tokens" = sentences times the longest source among them."""

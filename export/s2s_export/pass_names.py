"""The passes over a bundle's graphs: their names, what each does, where it pays, and which of them an export applies.

`--optimize none` leaves the graphs as the conversion made them; `default` applies every pass. The functions stand in
`passes.step_passes` (encoder and decoder step), `passes.gate_passes` (step and searches), `graphs` (searches). What
each gains is measured by `benchmarks/passes.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from s2s_export.errors import ExportError


@dataclass(frozen=True)
class Pass:
    """One change of a graph that leaves its results the same up to rounding.

    Attributes:
        name: what the manifest calls it.
        graphs: where it works.
        what: what it does.
        when: the rule by which it does it.
    """

    name: str
    graphs: str
    what: str
    when: str


PASSES: Final = (
    Pass(
        "logits",
        "decoder",
        "the output shows what enters the softmax: log-softmax is taken only when scores are wanted",
        "the model ends in a softmax over its symbols",
    ),
    Pass(
        "reshapes",
        "decoder",
        "a time axis of 1 that is added and at once removed is left out",
        "always",
    ),
    Pass(
        "token_table",
        "decoder",
        "one-hot or embedding, input kernel and bias become one row look-up",
        "what depends on the token alone takes up to 8 MiB for all symbols: larger rows come from main memory",
    ),
    Pass(
        "kernel_rows",
        "encoder",
        "one-hot sources are looked up in the input kernel",
        "more symbols than gates: then the identity that the node multiplies by instead is smaller",
    ),
    Pass(
        "steps_first",
        "encoder, model",
        "ids are put in the order of steps before their rows are looked up, not the rows afterwards",
        "a recurrent layer alone reads the rows",
    ),
    Pass(
        "memory_once",
        "greedy, beam",
        "what depends on the memory alone (keys of an attention, its mask) is computed before the loop",
        "always",
    ),
    Pass(
        "mask_in_bias",
        "greedy",
        "the mask of tokens that never follow is added to the output bias before the loop, not to the logits inside",
        "nothing but the choice of the token reads the logits",
    ),
    Pass(
        "inner_constants",
        "greedy",
        "the loop, with `one_row` that for one sentence, holds constants: others are handed to it at every step",
        "the smallest, up to 64 KiB: they are read and copied whenever the graph is loaded",
    ),
    Pass(
        "kernels_kept",
        "greedy, beam",
        "something outside the loop reads its kernels too: else they are given up, and no memory is planned for steps",
        "always",
    ),
    Pass(
        "gates_apart",
        "decoder, greedy, beam",
        "each gate is a product that adds its rows and applies its activation; nothing is taken apart afterwards",
        "a sum of products is read in column ranges only",
    ),
    Pass(
        "sums_in_products",
        "decoder, greedy, beam",
        "the rows added to a gate's product become its third operand, its bias a part of their table",
        "what is left of a product and a row of a table once the gates are apart (GRU)",
    ),
    Pass(
        "one_row",
        "greedy",
        "a loop for one sentence: gates of one activation are one product, the end of the row ends the loop",
        "some gates have one activation (LSTM), and their kernels take up to 4 MiB",
    ),
)
NAMES: Final = tuple(change.name for change in PASSES)
LEVELS: Final = {"none": (), "default": NAMES}


def named(optimize: str | Iterable[str]) -> tuple[str, ...]:
    """Return the names of the passes of a level, or of those given by name, in the order of `PASSES`.

    Raises:
        ExportError: there is no such level or pass.
    """
    if isinstance(optimize, str):
        if optimize not in LEVELS:
            raise ExportError(f"optimize: expected 'none', 'default' or names of passes, got {optimize!r}")
        return LEVELS[optimize]
    wanted = set(optimize)
    if unknown := sorted(wanted.difference(NAMES)):
        raise ExportError(f"optimize: expected passes among {', '.join(NAMES)}, got {', '.join(unknown)}")
    return tuple(name for name in NAMES if name in wanted)

"""How many tokens a batch may have: as many as fit into memory, told by the shapes of states and memory.

Memory grows with sentences times the longest source among them, so that one line of thousands of characters would take
gigabytes with sixty short ones beside it. By itself it takes a sixtieth.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Final

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.bundle.specs import TensorSpec
from s2s_runtime.inputs.row_reader import Source
from s2s_runtime.options import DecodingOptions

BATCH_BYTES: Final = 512 * 2**20
"""Bytes that a batch takes at most where nobody says how many tokens it may have: an estimate, not a limit."""

_ENCODED: Final = (
    24  # bytes a token for each number of the states: layers, their gates and outputs (measured: 12 to 21)
)
_REMEMBERED: Final = 16  # and for each number of the memory, in each beam: it is held, repeated and picked from
_ONE_HOT: Final = 8  # and for each symbol of a row of numbers
_LONGEST: Final = 256  # tokens of a target whose attention is kept; longer ones are seldom


def most_tokens(options: DecodingOptions, manifest: Manifest) -> int:
    """Return how many tokens a batch may have, its sentences times the longest source among them."""
    if options.max_batch_tokens is not None:
        return options.max_batch_tokens
    return max(1, BATCH_BYTES // bytes_of_a_token(options, manifest))


def bytes_of_a_token(options: DecodingOptions, manifest: Manifest) -> int:
    """Estimate the bytes that each token of a padded batch takes while it is decoded."""
    states, memory = _numbers(manifest.states, 1), _numbers(manifest.memory, 2)
    rows = max(options.beam_size, options.num_hypotheses if options.sampling else 1)
    kept = 0
    if options.return_attention or options.replace_unknown:
        kept = 8 * min(options.max_length or manifest.target.max_length or _LONGEST, _LONGEST)
    read = 0 if manifest.source.kind == "ids" else _ONE_HOT * manifest.source.size
    return read + _ENCODED * max(states, memory) + rows * (_REMEMBERED * memory + kept) + 8


def _numbers(tensors: Sequence[TensorSpec], axis: int) -> int:
    """Return how many numbers tensors have for each row, or, from the second axis on, for each row and token."""
    own = [tensor.shape for tensor in tensors if len(tensor.shape) >= axis and tensor.shape[axis - 1] is None]
    return sum(prod(size or 1 for size in shape[axis:]) for shape in own)


def steps_of(source: Source, others: Sequence[Source]) -> int:
    """Return the steps of the longest of a sentence's sources; a vector has one."""
    return max(len(source), *(len(other) for other in others if other.ndim != 1 or other.dtype.kind == "i"), 1)

"""Which tokens of a reference became which tokens of an output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Step(NamedTuple):
    """One step from a reference to an output.

    A token that was left out has None as `written`; one that was put in has None as `right`.
    """

    right: str | None
    written: str | None


def align(reference: Sequence[str], output: Sequence[str]) -> list[Step]:
    """Return the least edits from a reference to an output, step by step (Wagner and Fischer 1974).

    Of equally short ways that which replaces tokens, from the end backwards, before it leaves any out or puts any in.

    >>> [tuple(step) for step in align("cat", "cart")]
    [('c', 'c'), ('a', 'a'), (None, 'r'), ('t', 't')]
    """
    table = [list(range(len(output) + 1))]  # edits from each prefix of the reference to each prefix of the output
    for i, right in enumerate(reference, start=1):
        above, row = table[-1], [i]
        for j, written in enumerate(output, start=1):
            row.append(min(above[j - 1] + (right != written), above[j] + 1, row[j - 1] + 1))
        table.append(row)
    steps, i, j = [], len(reference), len(output)
    while i or j:
        if i and j and table[i][j] == table[i - 1][j - 1] + (reference[i - 1] != output[j - 1]):
            i, j = i - 1, j - 1
            steps.append(Step(reference[i], output[j]))
        elif i and table[i][j] == table[i - 1][j] + 1:
            i -= 1
            steps.append(Step(reference[i], None))
        else:
            j -= 1
            steps.append(Step(None, output[j]))
    return steps[::-1]

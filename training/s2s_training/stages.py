"""What a run tells of its progress outside the epochs: reading, vocabularies, vectors."""

from __future__ import annotations

from typing import Protocol


class Stages(Protocol):
    """Something that is told what is being done, such as a display of progress."""

    def __call__(self, what: str, done: int = 0, total: int = 0, /) -> None:
        """Take note of what is being done.

        Args:
            what: a participle and its object, such as "reading pairs.tsv"; another one than before = a new stage.
            done: of `total`, in any unit.
            total: 0 = not known.
        """


def unseen(what: str, done: int = 0, total: int = 0, /) -> None:
    """Ignore what is being done, where nobody looks."""

"""What a call gives to decode, read: the first stretch of the one way that every verb goes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from s2s_runtime.errors import S2SError
from s2s_runtime.inputs.sources import Sources


@dataclass(slots=True, eq=False)
class Request:
    """Sources with the first tokens of their targets.

    Attributes:
        sources: what was read; a row of the caller's may be several sources.
        prefixes: ids of the forced first tokens of each source.
        errors: why rows have no source, by the index of the row.
        first: how many rows came before these, for messages and events.
    """

    sources: Sources
    prefixes: list[list[int]]
    errors: dict[int, S2SError] = field(default_factory=dict)
    first: int = 0

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def is_empty(self) -> bool:
        """Whether no source has a token, so that nothing has to be searched."""
        return all(len(array) == 0 for array in self.sources.arrays)

    @property
    def is_plain(self) -> bool:
        """Whether each of the caller's rows is one source, of which there is nothing to be said but its result."""
        return self.sources.are_whole and not self.errors

    def places(self, indices: Iterable[int]) -> list[int]:
        """Return the positions among the caller's inputs of the rows of some sources, given by their indices."""
        numbers = [number for number, row in enumerate(self.sources.rows) for _ in row]
        return sorted({self.first + numbers[index] for index in indices})

    def select(self, indices: Sequence[int], prefixes: Sequence[list[int]]) -> Request:
        """Return a request of some of the sources, each a row of its own; one may be repeated with other prefixes."""
        own = self.sources
        unknown = {i: own.unknown[index] for i, index in enumerate(indices) if index in own.unknown}
        sources = Sources(
            [own.arrays[i] for i in indices], unknown, [own.others[i] for i in indices], [None] * len(indices)
        )
        return Request(sources, list(prefixes), first=self.first)


def together(requests: Sequence[Request]) -> Request:
    """Return one request with the sources of several, each a row of its own."""
    arrays = [array for request in requests for array in request.sources.arrays]
    others = [other for request in requests for other in request.sources.others]
    prefixes = [prefix for request in requests for prefix in request.prefixes]
    return Request(Sources(arrays, {}, others, [None] * len(arrays)), prefixes)

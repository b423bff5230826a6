"""How the files of a run are read, whatever their form."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from s2s_runtime.errors import InputError
from s2s_runtime.files.pair_rows import LeftOut
from s2s_runtime.files.text_source import TextSource, open_text
from s2s_training.errors import DataError
from s2s_training.stages import Stages, unseen

logger = logging.getLogger(__name__)
Row = TypeVar("Row")


@dataclass(frozen=True)
class Reading:
    """The settings that hold for reading every file of a run.

    Attributes:
        encoding: see `DataConfig`.
        strict: see `DataConfig`.
        stages: is told how far it is.
        check: raises an InputError where a source isn't as it should be.
    """

    encoding: str | None = None
    strict: bool = False
    stages: Stages = unseen
    check: Callable[[str], object] | None = None

    def open(self, path: Path) -> AbstractContextManager[TextSource]:
        """Open a text file as `open_text` does."""
        return open_text(path, self.encoding, lambda done, size: self.stages(f"reading {path}", done, size))

    def checked(self, path: Path, number: int, source: str) -> str:
        """Return a source, from line `number` of a file.

        Raises:
            DataError: it isn't as it should be.
        """
        try:
            if self.check is not None:
                self.check(source)
        except InputError as error:
            raise DataError(f"{path}, line {number}: {error}") from error
        return source

    def warn(self, path: Path, left_out: LeftOut) -> None:
        """Log which rows of a file were left out, if any."""
        message = left_out.message(str(path))
        if message is not None:
            logger.warning("%s", message)


PLAIN: Final = Reading()


@dataclass
class RowLimit:
    """How many rows are still to be read, over all files of a run.

    Attributes:
        left: so many more; None = all there are.
    """

    left: int | None = None

    @classmethod
    def of(cls, rows: int | RowLimit | None) -> RowLimit:
        """Return a limit of so many rows, or the one that is shared with other files."""
        return rows if isinstance(rows, RowLimit) else cls(rows)

    def use(self, rows: int) -> None:
        """Take note that so many rows were read."""
        if self.left is not None:
            self.left -= rows

    def take(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield rows as long as any are to be read."""
        for row in islice(rows, self.left):
            self.use(1)
            yield row

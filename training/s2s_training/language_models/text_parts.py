"""A text of any size, read line by line as often as needed: its parts, its symbols, what it is known by.

No more than a line is held. Where lines are sentences a hash of each tells its part; of a running text the end is held
out, for validation and then for scoring.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from s2s_runtime.errors import raised_as
from s2s_runtime.files.pair_rows import EMPTY, LeftOut
from s2s_runtime.vocabulary.padding import PaddingPolicy
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary, VocabularyFile
from s2s_training.config.data import DataConfig
from s2s_training.data.corpus import PART_NAMES, PARTS, Example, Part, none_for, part_of, source_key
from s2s_training.data.record_files import list_files
from s2s_training.data.sentencepiece_training import piece_models
from s2s_training.data.text_files import Reading
from s2s_training.data.vocabulary_builder import END, LINE_FEED, START, UNKNOWN, SymbolCounts, cutters, named_first
from s2s_training.errors import DataError
from s2s_training.runs.data_digests import Digest
from s2s_training.stages import Stages, unseen
from s2s_training.start_run import continued, symbols_of_start

logger = logging.getLogger(__name__)
_WRITTEN: Final = 200  # symbols that a bundle writes of a text without end, unless it is told
_MOST_FOR_PIECES: Final = 1_000_000  # lines that a sentencepiece model is trained on


class TextParts:
    """The lines of a text, by their parts.

    Args:
        config: which file, how it is split and cut.
        stages: is told how far reading is.

    Attributes:
        vocabulary: of the target side, from the training part; there is no source.
        lines: how many lines each part has.
        digests: what each part, and the symbols, are known by.

    Raises:
        DataError: the file can't be read, or a part that should hold some lines holds none.
    """

    def __init__(self, config: DataConfig, stages: Stages = unseen) -> None:
        self._config = config
        self._stages = stages
        self._running = config.carry == "text"
        self._key = source_key(dataclasses.replace(config, source_normalization=None))
        self._warned = False
        self._ends = self._train_and_valid_ends() if self._running or config.split == "last" else None
        texts = (Example("", (line,)) for part, line in self.of_parts() if part == "train")
        some = islice(texts, _MOST_FOR_PIECES if config.target_unit == "sentencepiece" else 0)
        pieces = piece_models(list(some), config)
        _, cutter = cutters(config, pieces)
        self._digests = {part: Digest() for part in PARTS}
        named = (UNKNOWN, LINE_FEED) if self._running else (UNKNOWN, START, END)
        training = SymbolCounts.of(self._cut_training(cutter))
        self._refuse_empty(training.longest)
        longest = _WRITTEN if self._running else training.longest + 1
        start = symbols_of_start(config)
        if start is None:
            ends = {} if self._running else {"start": START, "end": END}
            target = dataclasses.replace(cutter, symbols=named_first(named, cutter, training, config), **ends)
            self.vocabulary = VocabularyFile(None, target, PaddingPolicy(masked=False), max_length=longest)
        else:
            self.vocabulary = continued(start, config, (Counter(), training.counts), (0, longest - 1))
        self.lines = {part: digest.count for part, digest in self._digests.items()}

    @property
    def digests(self) -> dict[str, dict[str, object]]:
        """What the parts and the symbols are known by."""
        parts = {f"{PART_NAMES[part]} lines": digest.to_dict() for part, digest in self._digests.items()}
        return {**parts, "symbols": Digest.of([self.vocabulary.to_dict()]).to_dict()}

    def of_parts(self) -> Iterator[tuple[Part, str]]:
        """Yield each line of the text in its order, with its part."""
        config = self._config
        if config.valid_data is not None:
            yield from (("train", line) for line in self._read(config.data, config.rows))
            yield from (("valid", line) for line in self._read(config.valid_data))
            if config.test_data is not None:
                yield from (("test", line) for line in self._read(config.test_data))
            return
        at = 0
        for line in self._read(config.data, config.rows):
            if self._ends is None:
                yield part_of(self._key(line), config.valid_fraction, config.test_fraction), line
                continue
            yield "train" if at < self._ends[0] else "valid" if at < self._ends[1] else "test", line
            at += self._size(line)

    def ids(self) -> Iterator[tuple[Part, list[int]]]:
        """Yield the ids of each line with its part: between start and end, or with the line end behind it.

        Training lines that are longer than allowed are left out.
        """
        target = self.vocabulary.target
        most = self._config.max_target_length
        assert target is not None  # noqa: S101 - made above
        behind = [target.symbols.index(LINE_FEED)] if self._running else []
        for part, line in self.of_parts():
            ids = target.encode(line)
            if most is None or len(ids) <= most or part != "train":
                yield part, [*ids, *behind] if self._running else target.wrap(ids)

    def _cut_training(self, cutter: Vocabulary) -> Iterator[list[str]]:
        """Yield the symbols of each training line that is not longer than allowed, and take note of all lines."""
        for part, line in self.of_parts():
            self._digests[part].add(line)
            if part == "train":
                symbols = cutter.split(line)
                most = self._config.max_target_length
                if most is None or len(symbols) <= most:
                    yield symbols

    def _read(self, path: str, rows: int | None = None) -> Iterator[str]:
        """Yield the lines of a file, or several; empty ones only where they are part of a running text."""
        reading = Reading(self._config.encoding, self._config.strict, self._stages)
        left_out = LeftOut(self._config.strict)
        with raised_as(DataError):
            for file, number, line in islice(_lines(path, reading), rows):
                left_out.seen += 1
                if line.strip() or self._running:
                    yield line
                else:
                    left_out.add(str(file), number, EMPTY)
        if not self._warned:
            reading.warn(Path(path), left_out)
        self._warned = True

    def _size(self, line: str) -> int:
        """Return what a line counts in the text: one, or its symbols where lines are no units."""
        return len(line) + 1 if self._running else 1

    def _train_and_valid_ends(self) -> tuple[float, float]:
        """Return where the training part ends, and the validation part, in the unit of `_size`."""
        config = self._config
        total = sum(map(self._size, self._read(config.data, config.rows)))
        return total * (1 - config.valid_fraction - config.test_fraction), total * (1 - config.test_fraction)

    def _refuse_empty(self, longest: int) -> None:
        config = self._config
        test = config.test_data if config.valid_data is not None else config.test_fraction
        empty = [part for part in PARTS if not self._digests[part].count and (part != "test" or test)]
        if empty:
            counted = ", ".join(f"{digest.count:,} {PART_NAMES[part]}" for part, digest in self._digests.items())
            raise DataError(
                f"{config.data}: too few lines: {none_for(empty)} ({counted}); give more lines, "
                "or other shares to hold out"
            )
        if not self._running and not longest:
            raise DataError(
                f"{config.data}: no training line has at most {config.max_target_length} symbols: raise "
                "max_target_length"
            )


def _lines(path: str, reading: Reading) -> Iterator[tuple[Path, int, str]]:
    """Yield the lines of a file, or of the files of a folder or pattern, each with its number in its file."""
    for file in list_files(path):
        with reading.open(file) as opened:
            for number, line in opened.lines():
                yield file, number, line

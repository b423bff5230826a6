"""The one pass over the files of a run: pairs are divided, cut, numbered and written where they can be drawn from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from s2s_runtime.files.json_fields import read_json, write_json
from s2s_runtime.vocabulary.sentencepiece import PieceModel
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary
from s2s_training.config.data import DataConfig
from s2s_training.data.corpus import PARTS, Example, Part, part_of, source_key, too_few
from s2s_training.data.pair_files import read_pairs
from s2s_training.data.record_files import list_files
from s2s_training.data.sentencepiece_training import PieceModels, piece_models
from s2s_training.data.vocabulary_builder import UNKNOWN, cutters
from s2s_training.errors import DataError
from s2s_training.source_factors import cut_units
from s2s_training.stages import Stages, unseen
from s2s_training.streaming.held_out import HeldOut
from s2s_training.streaming.pair_store import PairStore, PairWriter
from s2s_training.streaming.symbol_table import Counts, SymbolTable, counted, named

_CHUNK: Final = 1024  # pairs that stay neighbours
_DIGEST_SIZE: Final = 16
Numbering = Callable[[str], list[int]]


@dataclass(frozen=True)
class ReadPairs:
    """What the pass left: pairs as numbers, and the symbols that the numbers stand for.

    Attributes:
        folder: where it lies.
        stores: the pairs of each part.
        symbols: of each side, by number.
        counts: of each part and side, how often each symbol occurs in it.
        pieces: the sentencepiece models by which texts were cut.
        files: their number and digest; see `files_digest`.
        factors: how many each symbol of the source has.
    """

    folder: Path
    stores: dict[str, PairStore]
    symbols: tuple[list[str], list[str]]
    counts: dict[str, tuple[Counts, Counts]]
    pieces: PieceModels
    files: dict[str, Any]
    factors: int = 0

    def counter(self, side: int, parts: Iterable[str], dropped: Counts) -> Counter[str]:
        """Return how often each symbol of a side occurs in some parts, without the `dropped` occurrences.

        It is empty where the side is cut into pieces, which all stay.
        """
        if self.pieces[side] is not None and not (side == 0 and self.factors):
            return Counter()
        counts = np.sum([self.counts[part][side] for part in parts], axis=0)
        return named(self.symbols[side], counts - dropped)

    def held_out(self) -> HeldOut:
        """Return the texts of the validation and test parts."""
        return HeldOut(_database(self.folder))


def read_into(folder: Path, data: DataConfig, stages: Stages = unseen) -> ReadPairs:
    """Read the files of a run into a folder; what an earlier pass over the same files left is taken as it is.

    Args:
        folder: for what is written; made where it isn't there.
        data: files, parts, units; the number of pairs in memory.
        stages: is told how far it is.

    Raises:
        DataError: a bad row, no rows, or a part that should hold some holds none.
        MissingExtraError: pyarrow or sentencepiece is needed and isn't installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stages("comparing the files with what was read of them")
    digests = files_digest(data)
    done = _done(folder)
    if not done.is_file() or read_json(done)["files"] != digests:
        done.unlink(missing_ok=True)
        left = _Pass(folder, data, stages).run()
        write_json(done, {**left, "files": digests})
    return _reopen(folder, read_json(done), data)


def files_digest(data: DataConfig) -> dict[str, Any]:
    """Return how many files a run reads, and a digest of their content in its order."""
    digest, count = hashlib.blake2b(digest_size=_DIGEST_SIZE), 0
    for name in (data.data, data.target_file, data.valid_data, data.test_data):
        for path in [] if name is None else list_files(name):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "blake2b").digest())
            count += 1
    return {"count": count, "digest": digest.hexdigest()}


class _Pass:
    """Reads files, and writes what `ReadPairs` has."""

    def __init__(self, folder: Path, data: DataConfig, stages: Stages) -> None:
        self._folder, self._data, self._stages = folder, data, stages
        self._key = source_key(data)
        self._pieces = self._piece_models()
        _pieces_file(folder).write_bytes(_packed(self._pieces))
        self._tables = (SymbolTable(), SymbolTable())
        self._number = [_numbering(*side) for side in zip(cutters(data, self._pieces), self._tables, strict=True)]

    def run(self) -> dict[str, Any]:
        """Read all, and return what isn't in files of its own."""
        with ExitStack() as opened:
            writers = {part: opened.enter_context(PairWriter(self._folder / part)) for part in PARTS}
            held_out = opened.enter_context(HeldOut(_database(self._folder), new=True))
            for part, key, example in self._divided():
                source, target = self._number[0](example.source), self._number[1](example.targets[0])
                writers[part].add(source, target)
                if part != "train":
                    held_out.add(part, key, example, (len(source), len(target)))
            held_out.finish()
        symbols = [list(table) for table in self._tables]
        return {"symbols": symbols, "counts": self._counts(symbols)}

    def _divided(self) -> Iterator[tuple[Part, str, Example]]:
        """Yield each pair with its part and the key of its source."""
        data = self._data
        shares = (data.valid_fraction, data.test_fraction) if data.valid_data is None else (0.0, 0.0)
        for example in self._read(data.data, data.target_file, data.rows):
            key = self._key(example.source)
            yield part_of(key, *shares), key, example
        beside: tuple[tuple[Part, str | None], ...] = (("valid", data.valid_data), ("test", data.test_data))
        for part, name in beside:
            for example in [] if name is None else self._read(name):
                yield part, self._key(example.source), example

    def _read(self, data: str, target_file: str | None = None, rows: int | None = None) -> Iterator[Example]:
        beside = None if target_file is None else Path(target_file)
        return read_pairs(self._data, list_files(data), beside, rows, stages=self._stages)

    def _piece_models(self) -> PieceModels:
        """Return the models that cut texts; one that is to be trained sees as many pairs as are held in memory."""
        trained = [
            side
            for side in ("source", "target")
            if getattr(self._data, f"{side}_unit") == "sentencepiece" and getattr(self._data, f"{side}_model") is None
        ]
        pairs = (example for part, _, example in self._divided() if part == "train")
        return piece_models(list(islice(pairs, self._data.shuffle_buffer)) if trained else [], self._data)

    def _counts(self, symbols: list[list[str]]) -> dict[str, list[list[int]]]:
        counts = {part: [np.zeros(len(names), np.int64) for names in symbols] for part in PARTS}
        for part in PARTS:
            store = PairStore(self._folder / part, _CHUNK)
            for number in range(store.chunks):
                for side, ids in enumerate(sides(store.chunk(number))):
                    counts[part][side] = counted(counts[part][side], ids)
        return {part: [array.tolist() for array in arrays] for part, arrays in counts.items()}


def sides(rows: Any) -> tuple[Any, Any]:
    """Return the ids of all sources of `PairRows`, and the ids of all targets."""
    of_source = np.repeat(np.tile([True, False], len(rows)), rows.lengths.reshape(-1))
    return rows.ids[of_source], rows.ids[~of_source]


def _numbering(cutter: Vocabulary, table: SymbolTable) -> Numbering:
    """Return what numbers the symbols of a text; pieces have the numbers of a vocabulary of all pieces."""
    if cutter.model is not None:
        pieces = dict.fromkeys((UNKNOWN, *PieceModel(cutter.model).written()))
        cutter = dataclasses.replace(cutter, symbols=tuple(pieces))
        if not cutter.factor_names:
            table.update({piece: number for number, piece in enumerate(pieces)})
            return cutter.encode
    look_up = table.__getitem__
    return lambda text: list(map(look_up, cut_units(cutter, text)))


def _reopen(folder: Path, left: dict[str, Any], data: DataConfig) -> ReadPairs:
    chunk_size = min(_CHUNK, data.shuffle_buffer or _CHUNK)
    stores = {part: PairStore(folder / part, chunk_size) for part in PARTS}
    test = data.test_fraction if data.valid_data is None else 0.0
    empty = [part for part in PARTS if not stores[part].rows and (part != "test" or test)]
    if empty:
        raise DataError(too_few(sum(store.rows for store in stores.values()), empty))
    counts = {part: tuple(np.array(side, np.int64) for side in left["counts"][part]) for part in PARTS}
    pieces = _unpacked(_pieces_file(folder).read_bytes())
    return ReadPairs(folder, stores, tuple(left["symbols"]), counts, pieces, left["files"], data.source_factors)  # type: ignore[arg-type]


def _packed(pieces: PieceModels) -> bytes:
    return json.dumps([None if model is None else model.hex() for model in pieces]).encode()


def _unpacked(content: bytes) -> PieceModels:
    return PieceModels(*(None if model is None else bytes.fromhex(model) for model in json.loads(content)))


def _done(folder: Path) -> Path:
    return folder / "read.json"


def _database(folder: Path) -> Path:
    return folder / "held-out.sqlite"


def _pieces_file(folder: Path) -> Path:
    return folder / "pieces.json"

"""Whether a resumed run has the data that it began with.

Options alone don't tell: a file keeps its name when rows are added to it. Weights that were trained with one vocabulary
and go on with another are wrong without any sign of it, where the tables happen to be as large as before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from s2s_runtime.files.json_fields import read_json, write_json
from s2s_runtime.vocabulary.vocabulary_file import VocabularyFile
from s2s_training.data.corpus import Corpus
from s2s_training.errors import RunFolderError
from s2s_training.runs.run_folder import RunFolder

DIGEST_SIZE = 16  # bytes


class Digest:
    """A digest of items in their order, the same on every machine, and how many they are.

    Attributes:
        count: how many items were added.
    """

    def __init__(self) -> None:
        self.count = 0
        self._digest = hashlib.blake2b(digest_size=DIGEST_SIZE)

    @classmethod
    def of(cls, items: Iterable[Any]) -> Digest:
        """Return the digest of items."""
        digest = cls()
        for item in items:
            digest.add(item)
        return digest

    def add(self, item: Any) -> None:
        """Add an item that JSON can hold."""
        self._digest.update(json.dumps(item).encode() + b"\n")
        self.count += 1

    def to_dict(self) -> dict[str, Any]:
        """Return count and digest."""
        return {"count": self.count, "digest": self._digest.hexdigest()}


Digests = Mapping[str, Mapping[str, Any]]


def digests_of_pairs(corpus: Corpus, vocabulary: VocabularyFile) -> Digests:
    """Return the digests of the parts of a corpus, and of the symbols."""
    parts = {"training pairs": corpus.train, "validation pairs": corpus.valid, "test pairs": corpus.test}
    symbols = Digest.of([vocabulary.to_dict()])
    return {**{name: Digest.of(part).to_dict() for name, part in parts.items()}, "symbols": symbols.to_dict()}


def write_digests(folder: RunFolder, digests: Digests) -> None:
    """Write the digests that `require_same_data` compares; they are kept as long as the run can be resumed."""
    write_json(folder.data_digests, digests)


def require_same_data(folder: RunFolder, now: Digests) -> None:
    """Check that the texts, in their order and their parts, and the symbols are those that the run began with.

    A folder without digests, from before there were any, is held to its `vocab.json` alone; one that has neither has
    trained nothing.

    Raises:
        RunFolderError: they are not; names what differs.
    """
    if folder.data_digests.is_file():
        then = read_json(folder.data_digests)
    elif folder.vocabulary.is_file():
        then = {"symbols": Digest.of([VocabularyFile.read(folder.vocabulary).to_dict()]).to_dict()}
    else:
        return
    changed = [_change(name, then[name], now[name]) for name in now if name in then and then[name] != now[name]]
    if changed:
        refuse(folder, ", ".join(changed))


def refuse(folder: RunFolder, changed: str) -> NoReturn:
    """Raise the error that says that the data of a run is no longer the same."""
    raise RunFolderError(
        f"{folder.path}: the data changed since this run began ({changed}): give the data it began with to resume, or "
        f"--force to start anew"
    )


def _change(name: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    if then["count"] == now["count"]:
        return f"other {name}"
    return f"{name}: {then['count']} then, {now['count']} now"

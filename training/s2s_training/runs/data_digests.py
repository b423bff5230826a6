"""Whether a resumed run has the data that it began with.

Options alone don't tell: a file keeps its name when rows are added to it. Weights that were trained with one vocabulary
and go on with another are wrong without any sign of it, where the tables happen to be as large as before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any, NoReturn

from s2s_runtime.files.json_fields import read_json, write_json
from s2s_runtime.vocabulary.vocabulary_file import VocabularyFile
from s2s_training.data.corpus import Corpus
from s2s_training.errors import RunFolderError
from s2s_training.runs.run_folder import RunFolder

DIGEST_SIZE = 16  # bytes


def write_digests(folder: RunFolder, corpus: Corpus, vocabulary: VocabularyFile) -> None:
    """Write the digests that `require_same_data` compares; they are kept as long as the run can be resumed."""
    write_json(folder.data_digests, _digests(corpus, vocabulary))


def require_same_data(folder: RunFolder, corpus: Corpus, vocabulary: VocabularyFile) -> None:
    """Check that the texts, in their order and their parts, and the symbols are those that the run began with.

    A folder without digests, from before there were any, is held to its `vocab.json` alone; one that has neither has
    trained nothing.

    Raises:
        RunFolderError: they are not; names what differs.
    """
    now = _digests(corpus, vocabulary)
    if folder.data_digests.is_file():
        then = read_json(folder.data_digests)
    elif folder.vocabulary.is_file():
        then = {"symbols": _digest([VocabularyFile.read(folder.vocabulary).to_dict()])}
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


def _digests(corpus: Corpus, vocabulary: VocabularyFile) -> dict[str, dict[str, Any]]:
    parts = {"training pairs": corpus.train, "validation pairs": corpus.valid, "test pairs": corpus.test}
    return {**{name: _digest(part) for name, part in parts.items()}, "symbols": _digest([vocabulary.to_dict()])}


def _digest(items: Iterable[Any]) -> dict[str, Any]:
    """Return how many items there are, and a digest of them in their order; it is the same on every machine."""
    digest, count = hashlib.blake2b(digest_size=DIGEST_SIZE), 0
    for item in items:
        digest.update(json.dumps(item).encode() + b"\n")
        count += 1
    return {"count": count, "digest": digest.hexdigest()}


def _change(name: str, then: dict[str, Any], now: dict[str, Any]) -> str:
    if then["count"] == now["count"]:
        return f"other {name}"
    return f"{name}: {then['count']} then, {now['count']} now"

"""Pairs of texts, and their parts for training, validation and scoring."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args

from s2s_runtime.files.atomic_write import replacing
from s2s_runtime.spelling import counted
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary
from s2s_training.config.data import DataConfig, Normalization, Split
from s2s_training.errors import DataError

Tokens = Sequence[str]
Part = Literal["train", "valid", "test"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)
PART_NAMES: Final[Mapping[Part, str]] = {"train": "training", "valid": "validation", "test": "test"}


class Example(NamedTuple):
    """One source and all targets that count as right for it; training uses the first of them."""

    source: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Corpus:
    """The parts of a data set: for training, for validation and for scoring.

    Attributes:
        train: trained on.
        valid: watched while training (validation loss), one example per row.
        test: neither trained on nor watched; empty where the data set has only a validation part.
        readings: further ways to compare a hypothesis with its references, by name: each maps the tokens of either
            before they are compared.
        key: of a source, the same for sources that the model reads alike; see `source_key`.
    """

    train: list[Example]
    valid: list[Example]
    test: list[Example] = field(default_factory=list)
    readings: Mapping[str, Callable[[Tokens], Tokens]] = field(default_factory=dict)
    key: Callable[[str], str] = str

    def held_out(self) -> list[Example]:
        """Return the examples to score, each source once with all its targets: the test part, else the validation part.

        The order is by hash of the source, so that the first n are a fair sample whatever order the data came in.
        """
        return self.merged(self.test or self.valid)

    def merged(self, examples: Iterable[Example]) -> list[Example]:
        """Return each source once with all its targets, in an order of which the first n are a fair sample.

        Of several spellings that the model reads alike the first stands for all.
        """
        targets: dict[str, dict[str, None]] = {}  # a dict as an ordered set
        spelled: dict[str, str] = {}
        for source, right in examples:
            key = self.key(source)
            spelled.setdefault(key, source)
            targets.setdefault(key, {}).update(dict.fromkeys(right))
        in_order = sorted(targets, key=lambda key: hash_share(key, salt="order"))
        return [Example(spelled[key], tuple(targets[key])) for key in in_order]


def source_key(config: DataConfig) -> Callable[[str], str]:
    """Return the function that gives the key of a source; sources with the same key count as the same.

    The key is the text as the model reads it, lowercased and in normal form where that is asked for. It is composed
    again where the model reads decomposed text, which keeps apart what was apart: so a source stays in its part whether
    or not the model takes accents off their letters.
    """
    form, _ = config.normalizations
    composed: Normalization | None = None if form is None else "NFKC" if form in ("NFKC", "NFKD") else "NFC"
    reads = Vocabulary("char", ("any",), normalization=composed, lowercase=config.lowercase)
    return reads.normalize


def hash_share(text: str, salt: str = "") -> float:
    """Return a share in [0, 1) that depends on the text alone: the same on every machine and in any Python version."""
    digest = hashlib.blake2b(text.encode(), digest_size=8, salt=salt.encode()).digest()
    return int.from_bytes(digest, "big") / 2**64


def part_of(key: str, valid_fraction: float, test_fraction: float) -> Part:
    """Return the part of the source with this key: by its hash, so that a larger share contains every smaller one."""
    share = hash_share(key)
    return "test" if share < test_fraction else "valid" if share < test_fraction + valid_fraction else "train"


def split_corpus(
    examples: Iterable[Example],
    split: Split,
    valid_fraction: float,
    test_fraction: float,
    readings: Mapping[str, Callable[[Tokens], Tokens]] | None = None,
    *,
    key: Callable[[str], str] = str,
) -> Corpus:
    """Divide examples into training, validation and test parts.

    Args:
        examples: all of them.
        split: "hash" (by the hash of the source's key) or "last" (the last `valid_fraction` are the validation part).
        valid_fraction: share of the validation part.
        test_fraction: share of the test part; with "hash" a larger share contains every smaller one.
        readings: see `Corpus`.
        key: see `Corpus`.

    Raises:
        DataError: too few examples: a part that should hold some holds none.
    """
    examples = list(examples)
    parts: dict[Part, list[Example]] = {part: [] for part in PARTS}
    if split == "last":
        kept = int(len(examples) * (1 - valid_fraction))
        parts["train"], parts["valid"] = examples[:kept], examples[kept:]
    else:
        for example in examples:
            parts[part_of(key(example.source), valid_fraction, test_fraction)].append(example)
    empty = [part for part in PARTS if not parts[part] and (part != "test" or test_fraction)]
    if empty:
        raise DataError(_too_few(examples, empty, split, key))
    return Corpus(**parts, readings=readings or {}, key=key)


def _too_few(examples: Sequence[Example], empty: Sequence[Part], split: Split, key: Callable[[str], str]) -> str:
    """Return the message that says why parts that should hold some pairs hold none."""
    none = none_for(empty)
    sources = list({key(example.source): example.source for example in examples}.values())
    count = f"{len(examples):,} pairs"
    if split == "hash" and len(examples) > 1 and len(set(examples)) == 1:
        return (
            f"all {count} are one and the same, {examples[0].source!r} to {examples[0].targets[0]!r}: a source stands "
            f"on one side only, which leaves {none}; give different pairs, or split 'last' to hold out copies"
        )
    if split == "hash" and len(sources) < len(examples):
        shown = ", ".join([*(repr(source) for source in sources[:3]), *(["..."] if sources[3:] else [])])
        different = counted(len(sources), "different source", ",")
        return (
            f"{count} hold only {different} ({shown}): a source stands on one side only, which leaves {none}; give "
            f"more of them, or split 'last'"
        )
    return too_few(len(examples), empty)


def too_few(count: int, empty: Sequence[Part]) -> str:
    """Return the message that says that so many pairs leave none for some parts."""
    shares = "smaller" if "train" in empty else "larger"
    return f"too few pairs: {count} leave {none_for(empty)}; give more pairs or {shares} shares to hold out"


def none_for(empty: Sequence[Part]) -> str:
    """Return the words for parts that nothing is left for.

    >>> none_for(["train", "test"])
    'none for the training and test part'
    """
    return f"none for the {' and '.join(PART_NAMES[part] for part in empty)} part"


def write_tsv(path: Path, examples: Iterable[Example]) -> None:
    """Write examples as `source<TAB>target[<TAB>further right target ...]`; the file appears whole, or not at all."""
    with replacing(path) as beside, beside.open("wb") as file:
        file.writelines("\t".join((source, *targets)).encode() + b"\n" for source, targets in examples)

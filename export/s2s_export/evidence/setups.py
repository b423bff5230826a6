"""Set-ups: the ways in which one and the same model may have been fed, as one small declared structure.

A set-up lives in the manifest alone, the graphs don't depend on it: to try one costs a decode, not an export.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from s2s_export.understand.bundle_terms import Understanding
from s2s_runtime.bundle.manifest_file import Manifest
from s2s_runtime.vocabulary.padding import PaddingPolicy, Side
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary


@dataclass(frozen=True)
class Ends:
    """What a decoder reads first, what ends a target, and the vocabulary in which these ids are symbols."""

    start_id: int | None
    end_ids: tuple[int, ...]
    vocabulary: Vocabulary | None

    def __str__(self) -> str:
        tokens: list[Any] = [self.start_id, *self.end_ids]
        if self.start_id is None:
            tokens = tokens[1:]
        if self.vocabulary is not None:
            named = [None if token is None else self.vocabulary.symbols[token] for token in tokens]
            tokens = list(map(repr, named))
        start = [] if self.start_id is None else [f"start {tokens.pop(0)}"]
        return ", ".join([*start, f"end {', '.join(map(str, tokens)) or 'none'}"])


@dataclass(frozen=True)
class SetUp:
    """One way in which a model may have been fed.

    Attributes:
        padding: what fills short sources, where, to what length.
        reverse: whether the source is read backwards.
        ends: what starts and ends a target.
        max_length: most tokens of an output, the end token counted; None where unknown.
        source: the source vocabulary.
        values: whether the outputs are values: no token starts or ends them.
        aligned: whether a model of one pass gives an output for each step of its source.
        frames: whether outputs are read off frames, as after training with CTC: nothing else ends them.
    """

    padding: PaddingPolicy
    reverse: bool
    ends: Ends
    max_length: int | None
    source: Vocabulary | None
    values: bool = False
    aligned: bool = False
    frames: bool = False

    @classmethod
    def of(cls, facts: Understanding) -> SetUp:
        """Return the set-up of a model as it was understood."""
        source = facts.source_vocabulary
        ends = Ends(facts.target.start_id, facts.target.end_ids, facts.target_vocabulary)
        values = facts.target.feedback == "value"
        frames = facts.target.blank_id is not None
        order = source is not None and source.reverse
        return cls(facts.padding, order, ends, facts.target.max_length, source, values, facts.target.aligned, frames)

    def in_facts(self, facts: Understanding) -> Understanding:
        """Return the understanding with this set-up in place of its own."""
        source = None if self.source is None else replace(self.source, reverse=self.reverse)
        ends = self.ends
        target = replace(facts.target, start_id=ends.start_id, end_ids=ends.end_ids, max_length=self.max_length)
        longest = (self.padding.length or facts.longest[0], *facts.longest[1:])
        return replace(
            facts,
            padding=self.padding,
            source_vocabulary=source,
            target=target,
            target_vocabulary=ends.vocabulary,
            longest=longest,
        )

    def in_manifest(self, manifest: Manifest, facts: Understanding) -> Manifest:
        """Return the manifest with this set-up in place of its own."""
        changed = self.in_facts(facts)
        return replace(
            manifest,
            padding=changed.padding,
            source_vocabulary=changed.source_vocabulary,
            target=changed.target,
            target_vocabulary=changed.target_vocabulary,
        )

    def described(self) -> dict[str, str]:
        """Return the value of each item as a person reads it, by the item's name."""
        padding, shown = self.padding, {"padding": self.filler, "padding side": self.padding.side}
        if padding.masked:
            shown = {"padding": f"masked by the model ({self.filler})"}
        elif padding.length is not None:
            shown["source length"] = str(padding.length)
        elif padding.id is None:
            shown = {}  # nothing pads a source without a time axis
        if self.source is not None:
            shown["source order"] = "reversed" if self.reverse else "as written"
        if self.frames:
            return shown
        whole = self.aligned and (padding.masked or self.max_length is None)  # as long as the source, or its padding
        if not self.values and not (whole and padding.masked and not self.ends.end_ids):
            shown["start and end"] = str(self.ends)
        unit = "steps" if self.values else "tokens"
        if not (whole and self.max_length is None):
            shown["longest output"] = "unknown" if self.max_length is None else f"{self.max_length} {unit}"
        return shown

    @property
    def filler(self) -> str:
        """What fills short sources, as a person reads it."""
        return filler_name(self.padding.id, self.source)


def filler_name(token: int | None, source: Vocabulary | None) -> str:
    """Return what an id of the padding stands for, as a person reads it."""
    if token is None or token == -1:
        return "rows of zeros"
    return f"id {token}" if source is None else f"{source.symbols[token]!r} (id {token})"


@dataclass(frozen=True)
class Choices:
    """What each item of a set-up may be, the likeliest first."""

    padding: tuple[int | None, ...]
    side: tuple[Side, ...]
    length: tuple[int | None, ...]
    reverse: tuple[bool, ...]
    ends: tuple[Ends, ...]

    @classmethod
    def only(cls, setup: SetUp) -> Choices:
        """Return the choices of a set-up that leaves none."""
        padding = setup.padding
        return cls((padding.id,), (padding.side,), (padding.length,), (setup.reverse,), (setup.ends,))

    def setups(self, base: SetUp) -> Iterator[SetUp]:
        """Return every combination, as changes of a set-up."""
        for padding, side, length, reverse, ends in product(
            self.padding, self.side, self.length, self.reverse, self.ends
        ):
            policy = replace(base.padding, id=padding, side=side, length=length)
            yield replace(base, padding=policy, reverse=reverse, ends=ends)

"""From ended sequences of ids to the results that callers see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Floats
from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.inputs.sources import Source
from s2s_runtime.options import DecodingOptions
from s2s_runtime.results import Hypothesis, Result
from s2s_runtime.search.finished import EndedSequence


@dataclass(frozen=True, slots=True)
class ResultBuilder:
    """Makes results.

    Args:
        manifest: of the bundle.
        options: what results have to hold.
    """

    manifest: Manifest
    options: DecodingOptions

    def result(
        self,
        ended: Sequence[EndedSequence],
        source_tokens: list[str],
        columns: NDArray[np.bool_],
        unknown: list[str] | None = None,
    ) -> Result:
        """The result of one sentence.

        Args:
            ended: its hypotheses, best first.
            source_tokens: its symbols, as `source_tokens` gives them.
            columns: (source time,) False at padding.
            unknown: symbols of it that the vocabulary lacks.
        """
        spelled = self._spelled(source_tokens, unknown or [])
        return Result([self._hypothesis(each, spelled, columns) for each in ended], source_tokens, unknown or [])

    def empty(self, unknown: list[str] | None = None) -> Result:
        """The result of an empty source: nothing, with certainty. The model isn't asked."""
        options = self.options
        return Result(
            [
                Hypothesis(
                    text="",
                    tokens=[],
                    ids=[],
                    score=0.0 if options.scored else None,
                    finish_reason="end",
                    token_scores=[] if options.return_token_scores else None,
                    attention=np.zeros((0, 0), np.float32) if options.return_attention else None,
                )
            ],
            source_tokens=[],
            unknown_symbols=unknown or [],
        )

    def unfollowed(self, prefix: Sequence[int], source_tokens: list[str], unknown: list[str] | None) -> Result:
        """The result where no token is likely enough to follow the prefix: the prefix, unscored."""
        written = Hypothesis(self.text(prefix), self.tokens(prefix), list(prefix), None, "stopped", None, None)
        return Result([written], source_tokens, unknown or [])

    def source_tokens(self, source: Source) -> list[str]:
        """The symbols of a source, as the model read them; empty for values."""
        if source.ndim != 1:
            return []
        vocabulary = self.manifest.source_vocabulary
        if vocabulary is None:
            return [str(token) for token in source]
        return ["" if token < 0 else vocabulary.symbols[token] for token in source.tolist()]

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """The symbols of target ids; the ids themselves where there is no vocabulary."""
        vocabulary = self.manifest.target_vocabulary
        return [str(token) for token in ids] if vocabulary is None else vocabulary.tokens(ids)

    def text(self, ids: Sequence[int], tokens: Sequence[str] | None = None) -> str:
        """The text of target ids, whose symbols may be known; the ids with spaces between without a vocabulary."""
        vocabulary = self.manifest.target_vocabulary
        return " ".join(str(token) for token in ids) if vocabulary is None else vocabulary.decode(ids, tokens)

    def _hypothesis(self, ended: EndedSequence, source_tokens: list[str], columns: NDArray[np.bool_]) -> Hypothesis:
        options = self.options
        bare = ended.bare
        ids = ended.ids if options.return_end_token else bare
        attention = None if ended.attention is None else ended.attention[: len(ids), columns]
        tokens = self.tokens(ids)
        text = self.text(bare, tokens[: len(bare)])
        vocabulary = self.manifest.target_vocabulary
        if options.replace_unknown and attention is not None and vocabulary is not None:
            tokens = self._replaced(ids, tokens, attention, source_tokens)
            text = vocabulary.join(tokens[: len(bare)])
        scores = None
        if options.return_token_scores and ended.token_scores is not None:
            scores = [float(score) for score in ended.token_scores[: len(ids)]]
        return Hypothesis(
            text=text,
            tokens=tokens,
            ids=list(ids),
            score=ended.score,
            finish_reason=ended.reason,
            token_scores=scores,
            attention=attention if options.return_attention else None,
        )

    def _spelled(self, source_tokens: list[str], unknown: Sequence[str]) -> list[str]:
        """The source's tokens, those that the vocabulary lacks as the text spells them."""
        vocabulary = self.manifest.source_vocabulary
        if not (self.options.replace_unknown and unknown and vocabulary):
            return source_tokens
        places = [i for i, token in enumerate(source_tokens) if token == vocabulary.unknown]
        if len(places) != len(unknown):  # left out, or the text holds the unknown symbol itself
            return source_tokens
        spelled = list(source_tokens)
        for place, symbol in zip(places[::-1] if vocabulary.reverse else places, unknown, strict=True):
            spelled[place] = symbol
        return spelled

    def _replaced(
        self, ids: Sequence[int], tokens: Sequence[str], attention: Floats, source_tokens: Sequence[str]
    ) -> list[str]:
        """The tokens, with unknown ones replaced by the source token that they attended to most."""
        table: Mapping[str, str] = self.options.phrase_table or {}
        replaced = list(tokens)
        for place, token in enumerate(ids):
            if token == self.manifest.target.unknown_id:
                found = source_tokens[int(attention[place].argmax())]
                replaced[place] = table.get(found, found)
        return replaced

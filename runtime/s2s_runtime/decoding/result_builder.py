"""Making results of ended sequences of ids."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Floats
from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.errors import S2SError
from s2s_runtime.inputs.sources import Source
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.options import DecodingOptions
from s2s_runtime.options.types import Utility
from s2s_runtime.results import Hypothesis, Result, best_alone
from s2s_runtime.search.finished import NO_CONFIDENCES, Confidences, EndedSequence
from s2s_runtime.search.scoring import LengthPenalty

if TYPE_CHECKING:
    from s2s_runtime.confidence import confidences
    from s2s_runtime.decoding import min_bayes_risk, predict_values
    from s2s_runtime.inputs import factored_rows
    from s2s_runtime.one_pass import plain_results
    from s2s_runtime.one_pass.plain_pass import BestSymbols, Rows
else:  # where they are asked for
    confidences, min_bayes_risk = LazyModule("confidence.confidences"), LazyModule("decoding.min_bayes_risk")
    factored_rows = LazyModule("inputs.factored_rows")
    plain_results, predict_values = LazyModule("one_pass.plain_results"), LazyModule("decoding.predict_values")


class ResultBuilder:
    """A builder of the results that callers see.

    Args:
        manifest: manifest of the bundle.
        options: say what results have to hold.
        further: builders of what is given beside, by the names of the outputs.
    """

    def __init__(
        self, manifest: Manifest, options: DecodingOptions, further: Mapping[str, ResultBuilder] | None = None
    ) -> None:
        self.manifest = manifest
        self.options = options
        self.further = further or {}

    def result(
        self,
        ended: Sequence[EndedSequence],
        source_tokens: list[str],
        columns: NDArray[np.bool_],
        unknown: list[str] | None = None,
        further: Mapping[str, list[EndedSequence] | Floats] | None = None,
    ) -> Result:
        """Return the result of one sentence.

        Args:
            ended: its hypotheses, best first.
            source_tokens: its symbols, as `source_tokens` gives them.
            columns: bool (source time,), False at padding.
            unknown: its symbols that the vocabulary lacks.
            further: what a model of several outputs gave beside, by name.
        """
        spelled = self._spelled(source_tokens, unknown) if unknown and self.options.replace_unknown else source_tokens
        if self.options.min_bayes_risk is not None and len(ended) > 1:
            ended = self._by_utility(ended, self.options.min_bayes_risk)
        hypotheses = [self._hypothesis(sequence, spelled, columns) for sequence in ended]
        result = Result(hypotheses, source_tokens, unknown or [])
        for name, found in (further or {}).items():
            builder = self.further[name]
            if isinstance(found, list):
                result.outputs[name] = builder.result(found, source_tokens, columns)
            else:
                result.outputs[name] = predict_values.in_steps(found, builder.manifest)
        return result

    def _without(self, result: Callable[[ResultBuilder], Result]) -> dict[str, Result | Floats]:
        """Return what every further output is where nothing was decoded: a result, or no values."""
        return {
            name: predict_values.in_steps(np.zeros((0, builder.manifest.target.size), np.float32), builder.manifest)
            if builder.manifest.target.feedback == "value"
            else result(builder)
            for name, builder in self.further.items()
        }

    def plain(self, rows: Rows, best: BestSymbols) -> list[Result]:
        """Return the results of plain rows; what isn't known of them is made when somebody asks for it."""
        return best_alone(best.ids, best.texts, plain_results.PlainFields(self, rows, best.reasons).made)

    def _by_utility(self, ended: Sequence[EndedSequence], utility: Utility) -> list[EndedSequence]:
        """Return sequences in the order of their expected utility: see `s2s_runtime.decoding.min_bayes_risk`."""
        penalty = LengthPenalty(self.options.length_penalty, self.options.length_penalty_kind)
        weights = [(each.score or 0.0) * penalty.divisor(len(each.ids)) for each in ended]
        bare = [each.bare for each in ended]
        return min_bayes_risk.by_utility(ended, [self.text(ids) for ids in bare], bare, weights, utility)

    def empty(self, unknown: list[str] | None = None) -> Result:
        """Return the result of an empty source: an empty hypothesis with score 0, without asking the model."""
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
                    **self._confidences(NO_CONFIDENCES, 0, []),
                )
            ],
            source_tokens=[],
            unknown_symbols=unknown or [],
            outputs=self._without(ResultBuilder.empty),
        )

    def failed(self, error: S2SError) -> Result:
        """Return the result of a source that can't be read: an empty hypothesis without a score, and why."""
        hypotheses = [Hypothesis("", [], [], None, "error")]
        return Result(hypotheses, [], error=error, outputs=self._without(lambda builder: builder.failed(error)))

    def with_listed(self, outputs: Sequence[str], result: Result) -> Result:
        """Return a result with the outputs of a lexicon before its hypotheses, or, where nothing was decoded, alone."""
        decoded = result.hypotheses if self.options.lexicon_use == "merge" else []
        listed = {text: self._listed(text) for text in outputs}
        others = [hypothesis for hypothesis in decoded if hypothesis.text not in listed]
        return replace(result, hypotheses=[*listed.values(), *others][: self.options.num_hypotheses])

    def _listed(self, text: str) -> Hypothesis:
        """Return an output of a lexicon; without ids where the target vocabulary lacks one of its symbols."""
        vocabulary = self.manifest.target_vocabulary
        if vocabulary is None:
            return Hypothesis(text, text.split(), [], None, "lexicon")
        symbols, ids = vocabulary.symbol_ids(text)
        known = vocabulary.resolve(symbols, ids, "error", text)[0] if None not in ids else []
        return Hypothesis(text, vocabulary.tokens(known) if known else symbols, known, None, "lexicon")

    def unfollowed(self, prefix: Sequence[int], source_tokens: list[str], unknown: list[str] | None) -> Result:
        """Return the result where no token is likely enough to follow the prefix: the prefix, without a score."""
        written = Hypothesis(self.text(prefix), self.tokens(prefix), list(prefix), None, "stopped", None, None)
        outputs = self._without(lambda builder: builder.unfollowed([], source_tokens, None))
        return Result([written], source_tokens, unknown or [], outputs=outputs)

    def source_tokens(self, source: Source) -> list[str]:
        """Return the symbols of a source as the model read them; empty for values, and where there is no source."""
        if source.ndim != 1 or self.manifest.kind == "decoder-only":
            return []
        vocabulary = self.manifest.source_vocabulary
        if vocabulary is None:
            return [str(token) for token in source]
        symbols = vocabulary.symbols
        return ["" if token < 0 else symbols[token] for token in source.tolist()]

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the symbols of target ids; the ids as strings where there is no vocabulary."""
        vocabulary = self.manifest.target_vocabulary
        return [str(token) for token in ids] if vocabulary is None else vocabulary.tokens(ids)

    def text(self, ids: Sequence[int], tokens: Sequence[str] | None = None) -> str:
        """Return the text of target ids, or the ids between spaces; `tokens` are their symbols, if known already."""
        vocabulary = self.manifest.target_vocabulary
        if vocabulary is None:
            return " ".join(str(token) for token in ids)
        if tokens is not None and vocabulary.decodes_whole(ids):
            return vocabulary.join(tokens)
        return vocabulary.decode(ids)

    def _hypothesis(self, ended: EndedSequence, source_tokens: list[str], columns: NDArray[np.bool_]) -> Hypothesis:
        options = self.options
        bare = ended.bare
        ids = ended.ids if options.return_end_token else bare
        attention = None if ended.attention is None else ended.attention[: len(ids), columns]
        tokens = self.tokens(ids)
        written = tokens if len(tokens) == len(bare) else tokens[: len(bare)]
        text = self.text(bare, written)
        vocabulary = self.manifest.target_vocabulary
        if options.replace_unknown and attention is not None and vocabulary is not None:
            tokens = self._replaced(ids, tokens, attention, source_tokens)
            written = tokens[: len(bare)]
            text = vocabulary.join(written)
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
            alignment=ended.alignment,
            **({} if ended.confidences is None else self._confidences(ended.confidences, len(ids), written)),
        )

    def _confidences(self, found: Confidences, count: int, written: Sequence[str]) -> confidences.ConfidenceFields:
        """Return what is told of how sure the model is of a sequence.

        Args:
            found: what is known.
            count: how many ids are returned.
            written: symbols of those that aren't the end token.
        """
        fields: confidences.ConfidenceFields = {}
        if self.options.return_confidence:
            sure = np.exp(found.tokens.astype(np.float64)).tolist()
            fields["confidence"] = math.prod(sure)
            fields["token_confidences"] = sure[:count]
            fields["word_confidences"] = confidences.word_confidences(written, sure, self.manifest.target_vocabulary)
        if self.options.return_top_tokens:
            ranked = zip(found.likeliest.tolist(), np.exp(found.likeliest_scores).tolist(), strict=True)
            pairs = [list(zip(self.tokens(ids), shares, strict=True)) for ids, shares in ranked]
            fields["top_tokens"] = pairs[:count]
        return fields

    def _spelled(self, source_tokens: list[str], unknown: Sequence[str]) -> list[str]:
        """Return the source's tokens; those that the vocabulary lacks are spelled as in the text."""
        vocabulary = self.manifest.source_vocabulary
        if vocabulary is None:
            return source_tokens
        if vocabulary.factor_names:
            unknown = factored_rows.factored(vocabulary).own(unknown)
        positions = [i for i, token in enumerate(source_tokens) if token == vocabulary.unknown]
        if len(positions) != len(unknown):  # left out, or the text holds the unknown symbol itself
            return source_tokens
        spelled = list(source_tokens)
        for position, symbol in zip(positions[::-1] if vocabulary.reverse else positions, unknown, strict=True):
            spelled[position] = symbol
        return spelled

    def _replaced(
        self, ids: Sequence[int], tokens: Sequence[str], attention: Floats, source_tokens: Sequence[str]
    ) -> list[str]:
        """Return the tokens with unknown ones replaced by the source token that they attended to most."""
        table: Mapping[str, str] = self.options.phrase_table or {}
        replaced = list(tokens)
        for position, token in enumerate(ids):
            if token == self.manifest.target.unknown_id:
                copied = source_tokens[int(attention[position].argmax())]
                replaced[position] = table.get(copied, copied)
        return replaced

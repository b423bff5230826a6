"""The results of decoding and scoring."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.equality import ComparedByValue
from s2s_runtime.errors import S2SError
from s2s_runtime.lazy_modules import LazyModule

if TYPE_CHECKING:
    from s2s_runtime.plots import notebook
else:  # where somebody looks at results
    notebook = LazyModule("plots.notebook")

_LONGEST: Final = 70  # characters of a text that a repr shows

FinishReason = Literal["end", "length", "stopped", "error", "lexicon"]


class _MadeLater(ComparedByValue):
    """Base of results that may be made in part: fields that are left out are made when somebody asks for them.

    A thousand results are made in a moment so, and whoever wants their texts alone doesn't wait for symbols and lists.
    """

    __slots__ = ("_make", "_row")  # one tuple of both would be an object more for the garbage collector to look at

    if not TYPE_CHECKING:  # which would let every attribute pass

        def __getattr__(self, name: str) -> Any:
            """Return a field that was left out, once made, as Python asks for those that aren't there."""
            if name not in self.__dataclass_fields__:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
            value = self._make(self, name, self._row)
            object.__setattr__(self, name, value)
            return value


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Hypothesis(_MadeLater):
    """One decoded sequence.

    Attributes:
        text: its text; for bundles without a target vocabulary, the ids separated by spaces.
        tokens: its symbols; without a target vocabulary, the ids as strings.
        ids: its token ids; without the end token, unless `return_end_token` asked for it.
        score: log-probability (natural logarithm) of the whole sequence, end token included, normalised by the length
            penalty, plus the coverage penalty; None where it wasn't computed.
        finish_reason: "end": an end token came (or the source was empty). "length": the longest length was reached.
            "stopped": a callback stopped it, or no token was allowed to follow. "error": its source can't be read.
            "lexicon": the option `lexicon` has it.
        token_scores: log-probability of each of `ids`, where asked for.
        attention: float32 (target, source): how much the source tokens (columns, as in `Result.source_tokens`)
            contributed to each of `ids` (rows), where asked for.
        alignment: for models trained with CTC, where asked for: of each of `ids` its first frame and the one behind
            its last, in the likeliest alignment that says them. Frames are counted as the model gives them.
        confidence: probability of the sequence, 0 to 1, at the bundle's temperature, where asked for: how sure the
            model is that this is right.
        token_confidences: that of each of `ids`, after those before it; with that of the end token they multiply to
            `confidence`.
        word_confidences: words and how sure the model is of each: the product of its tokens, the blank or the end after
            it among them. Each token is a word but where the vocabulary has characters or sentencepiece's pieces.
        top_tokens: the likeliest tokens in the place of each of `ids`, with their probabilities, where asked for.
    """

    text: str
    tokens: list[str]
    ids: list[int]
    score: float | None
    finish_reason: FinishReason
    token_scores: list[float] | None = None
    attention: NDArray[np.float32] | None = None
    alignment: list[tuple[int, int]] | None = None
    confidence: float | None = None
    token_confidences: list[float] | None = None
    word_confidences: list[tuple[str, float]] | None = None
    top_tokens: list[list[tuple[str, float]]] | None = None

    def __repr__(self) -> str:
        parts = [_quoted(self.text), *_scored(self.score), f"finish_reason={self.finish_reason!r}"]
        if self.attention is not None:
            parts.append(f"attention={'x'.join(map(str, self.attention.shape))}")
        return f"Hypothesis({', '.join(parts)})"

    def to_dict(self) -> dict[str, object]:
        """Return everything that is known as plain values for JSON; what wasn't asked for is left out."""
        values: dict[str, object] = {"text": self.text, "tokens": self.tokens, "ids": self.ids}
        if self.score is not None:
            values["score"] = self.score
        values["finish_reason"] = self.finish_reason
        if self.token_scores is not None:
            values["token_scores"] = self.token_scores
        if self.attention is not None:
            values["attention"] = self.attention.tolist()
        if self.alignment is not None:
            values["alignment"] = [list(span) for span in self.alignment]
        for name in ("confidence", "token_confidences", "word_confidences", "top_tokens"):
            if getattr(self, name) is not None:
                values[name] = getattr(self, name)
        return values


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Result(_MadeLater):
    """The hypotheses that one source was decoded to.

    Attributes:
        hypotheses: best first, at least one.
        source_tokens: the source's symbols as the model read them (ids as strings without a source vocabulary; empty
            for a source of values).
        unknown_symbols: symbols of the text that the source vocabulary lacks, in the order of the text; read as the
            unknown symbol or left out, as the option `unknown_symbols` says.
        error: why the source can't be read, where `on_error` is "return"; else None. Its hypothesis is empty.
        parts: the results of the parts that a source longer than allowed was cut into by `on_long="split"`. The one
            hypothesis is theirs joined; its score is their mean by the number of tokens.
        left_out: how many tokens of the source's end were left out by `on_long="truncate"`.
        outputs: what a model of several outputs gives beside the first, by name: a result of the same source for
            tokens, float32 (steps, features) for values.
    """

    hypotheses: list[Hypothesis]
    source_tokens: list[str]
    unknown_symbols: list[str] = field(default_factory=list)
    error: S2SError | None = None
    parts: list[Result] = field(default_factory=list)
    left_out: int = 0
    outputs: dict[str, Result | NDArray[np.float32]] = field(default_factory=dict)

    def __repr__(self) -> str:
        if self.error is not None:
            return f"Result(error={_shortened(repr(self.error))})"
        parts = [_quoted(self.text), *_scored(self.score)]
        if len(self.hypotheses) > 1:
            parts.append(f"hypotheses={len(self.hypotheses)}")
        if self.unknown_symbols:
            parts.append(f"unknown_symbols={_shortened(repr(self.unknown_symbols))}")
        parts += [f"outputs={', '.join(self.outputs)}"] if self.outputs else []
        parts += [
            f"{name}={count}" for name, count in (("parts", len(self.parts)), ("left_out", self.left_out)) if count
        ]
        return f"Result({', '.join(parts)})"

    def _repr_png_(self) -> bytes | None:
        """Draw the attention of the best hypothesis, as a notebook asks; None where it has none, or no matplotlib."""
        return notebook.attention_png(self)

    @property
    def text(self) -> str:
        """Text of the best hypothesis."""
        return self.hypotheses[0].text

    @property
    def tokens(self) -> list[str]:
        """Symbols of the best hypothesis."""
        return self.hypotheses[0].tokens

    @property
    def ids(self) -> list[int]:
        """Token ids of the best hypothesis."""
        return self.hypotheses[0].ids

    @property
    def score(self) -> float | None:
        """Score of the best hypothesis, or None where it wasn't computed."""
        return self.hypotheses[0].score

    @property
    def confidence(self) -> float | None:
        """How sure the model is of the best hypothesis, 0 to 1, or None where it wasn't asked for."""
        return self.hypotheses[0].confidence

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON; what there isn't (errors, unknown symbols, parts, outputs) is left out."""
        return {
            **({} if self.error is None else {"error": str(self.error)}),
            "source_tokens": self.source_tokens,
            **({"unknown_symbols": self.unknown_symbols} if self.unknown_symbols else {}),
            **({"parts": [part.to_dict() for part in self.parts]} if self.parts else {}),
            **({"left_out": self.left_out} if self.left_out else {}),
            "hypotheses": [hypothesis.to_dict() for hypothesis in self.hypotheses],
            **({"outputs": {name: _plain(each) for name, each in self.outputs.items()}} if self.outputs else {}),
        }


def _plain(output: Result | NDArray[np.float32]) -> object:
    """Return a further output for JSON: its hypotheses, or its values."""
    if isinstance(output, Result):
        return {"hypotheses": [hypothesis.to_dict() for hypothesis in output.hypotheses]}
    return {"values": output.tolist()}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TargetScore(ComparedByValue):
    """The scores of a given target: how likely it is.

    Attributes:
        score: log-probability normalised by the length penalty, as `Hypothesis.score` is.
        log_probability: natural logarithm of the probability of the whole target.
        token_scores: log-probability of each token; that of the end token comes last.
        unknown_symbols: symbols that the vocabularies lack, those of the source and then those of the target, in the
            order of the texts.
        given: first tokens that weren't predicted, their log-probability 0: of a language model without a start token.
    """

    score: float
    log_probability: float
    token_scores: list[float]
    unknown_symbols: list[str] = field(default_factory=list)
    given: int = 0

    @property
    def perplexity(self) -> float:
        """The exponential of the mean negative log-probability of the tokens predicted; 1 of none, at most infinity."""
        predicted = len(self.token_scores) - self.given
        try:
            return math.exp(-self.log_probability / predicted) if predicted > 0 else 1.0
        except OverflowError:
            return math.inf

    def __repr__(self) -> str:
        numbers = f"score={self.score:.4g}, log_probability={self.log_probability:.4g}"
        return f"TargetScore({numbers}, tokens={len(self.token_scores)})"

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON; unknown symbols are in them only where there are any."""
        return {
            "score": self.score,
            "log_probability": self.log_probability,
            "token_scores": self.token_scores,
            **({"unknown_symbols": self.unknown_symbols} if self.unknown_symbols else {}),
        }


class Results(list[Result]):
    """The list of results that `generate` returns; a notebook shows it as a table.

    Attributes:
        engine: "graph" where they were written inside the bundle's graphs, "steps" where step by step.
        obstacles: what was asked for that kept them from the graph.
    """

    engine: Literal["graph", "steps"] | None = None
    obstacles: Sequence[str] = ()

    @overload
    def __getitem__(self, index: SupportsIndex) -> Result: ...

    @overload
    def __getitem__(self, index: slice) -> Results: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Result | Results:
        picked = super().__getitem__(index)
        return picked if isinstance(picked, Result) else Results(picked).by(self.engine, self.obstacles)

    def by(self, engine: Literal["graph", "steps"] | None, obstacles: Sequence[str]) -> Results:
        """Note which engine wrote them, and return them."""
        self.engine, self.obstacles = engine, obstacles
        return self

    def _repr_html_(self) -> str:
        return notebook.results_table(self)


MakeField = Callable[[Any, str, int], Any]
"""Makes a field that was left out, given its hypothesis or result, its name and the row of the result."""

_NEW: Final = object.__new__
# The fields themselves, which are set without what `frozen` does for each: a third of the time.
_SET_IDS, _SET_TEXT = (getattr(Hypothesis, each).__set__ for each in ("ids", "text"))
_SET_HYPOTHESES, _SET_MAKE, _SET_ROW = (getattr(Result, each).__set__ for each in ("hypotheses", "_make", "_row"))


def best_alone(ids: Sequence[list[int]], texts: Sequence[str] | None, make: MakeField) -> list[Result]:
    """Return results of one hypothesis each, whose other fields are made when somebody asks for them.

    Args:
        ids: of each hypothesis, as they are shown.
        texts: of each, where they are known.
        make: makes what is asked for besides.
    """
    results, hypotheses = [], []
    for row, written in enumerate(ids):
        hypothesis, result = _NEW(Hypothesis), _NEW(Result)
        _SET_IDS(hypothesis, written)
        _SET_MAKE(hypothesis, make)
        _SET_ROW(hypothesis, row)
        _SET_HYPOTHESES(result, [hypothesis])
        _SET_MAKE(result, make)
        _SET_ROW(result, row)
        hypotheses.append(hypothesis)
        results.append(result)
    for hypothesis, text in zip(hypotheses, texts or (), strict=texts is not None):
        _SET_TEXT(hypothesis, text)
    return results


def _quoted(text: str) -> str:
    return _shortened(repr(text))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}...{text[-_LONGEST // 2 + 3 :]}"


def _scored(score: float | None) -> list[str]:
    return [] if score is None else [f"score={score:.4g}"]

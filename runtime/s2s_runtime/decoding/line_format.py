"""Writing results as lines: texts, JSON, n-best lists of Moses and Phonetisaurus, alignments of Pharaoh."""

from __future__ import annotations

import json
from dataclasses import dataclass

from s2s_runtime.results import Hypothesis, Result
from s2s_runtime.search.scoring import LengthPenalty
from s2s_runtime.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class LineFormat:
    """A way to write a result as lines.

    Args:
        as_json: whether each text gives one JSON object that holds the text too; else the text of each hypothesis.
        scores: whether the score and a tab stand before each hypothesis.
        numbered: whether the number of its text (from 1) and a tab stand before each hypothesis.
        moses: whether each hypothesis is a line of an n-best list as Moses writes them, instead.
        costs: makes costs of scores, each hypothesis being a line as Phonetisaurus writes them: source, cost, output,
            with tabs between them; None = not.
        alignment: who wrote what from where, as Pharaoh has it, behind each hypothesis; None = not.
        outputs: whether what a model of several outputs gives beside stands behind each hypothesis, with tabs between.
    """

    as_json: bool = False
    scores: bool = False
    numbered: bool = False
    moses: bool = False
    costs: LengthPenalty | None = None
    alignment: Alignment | None = None
    outputs: bool = False

    def __call__(self, number: int, text: str, result: Result) -> str:
        """Return the lines of one result, with their ends. Line ends inside a text become spaces."""
        if self.as_json:
            return json.dumps({"text": text, **result.to_dict()}, ensure_ascii=False) + "\n"
        if self.costs is not None:
            lines = ((_cost(hypothesis, self.costs), on_one_line(hypothesis.text)) for hypothesis in result.hypotheses)
            return "".join(f"{on_one_line(text)}\t{cost:.4f}\t{written}\n" for cost, written in lines)
        return "".join(f"{self._line(number, hypothesis, result)}\n" for hypothesis in result.hypotheses)

    def _line(self, number: int, hypothesis: Hypothesis, result: Result) -> str:
        written = on_one_line(hypothesis.text)
        if self.moses:
            score = 0.0 if hypothesis.score is None else hypothesis.score
            written = f"{number - 1} ||| {written} ||| score= {score:.4f} ||| {score:.4f}"
        if self.alignment is not None:
            written += f" ||| {self.alignment(hypothesis, result)}"
        columns = [str(number)] if self.numbered and not self.moses else []
        if self.scores and hypothesis.score is not None:
            columns.append(f"{hypothesis.score:.4f}")
        return "\t".join([*columns, written, *(further_texts(result) if self.outputs else [])])


def _cost(hypothesis: Hypothesis, penalty: LengthPenalty) -> float:
    """Return the negative log-probability of a hypothesis whose ids lack the end token; 0 of one without a score."""
    length = len(hypothesis.ids) + (hypothesis.finish_reason == "end")
    return -(hypothesis.score or 0.0) * penalty.divisor(length) or 0.0  # no minus before a zero


def further_texts(result: Result) -> list[str]:
    """Return what the further outputs of a result are, each on one line: a text, or its values in their order."""
    return [
        on_one_line(output.text) if isinstance(output, Result) else " ".join(f"{value:.9g}" for value in output.flat)
        for output in result.outputs.values()
    ]


def on_one_line(text: str) -> str:
    """Return a text with its line ends made spaces."""
    return " ".join(text.splitlines()) if "\n" in text or "\r" in text else text


@dataclass(frozen=True, slots=True)
class Alignment:
    """The alignment of a hypothesis: pairs source-target, counted from 0 in the order of the texts.

    Each target token is paired with the source token that it attended to most, start and end symbols left out.

    Args:
        source: vocabulary of the source; None = its tokens are ids, all of which count.
        target: vocabulary of the target, likewise.
    """

    source: Vocabulary | None
    target: Vocabulary | None

    def __call__(self, hypothesis: Hypothesis, result: Result) -> str:
        """Return the pairs of a hypothesis that has attention; none where it has not, as where nothing was decoded."""
        rows, columns = _kept(hypothesis.tokens, self.target), _kept(result.source_tokens, self.source)
        if hypothesis.attention is None or not rows or not columns:
            return ""
        nearest = hypothesis.attention[rows][:, columns].argmax(axis=1).tolist()
        if self.source is not None and self.source.reverse:
            nearest = [len(columns) - 1 - column for column in nearest]
        if self.target is not None and self.target.reverse:
            nearest.reverse()
        return " ".join(f"{column}-{row}" for row, column in enumerate(nearest))


def _kept(tokens: list[str], vocabulary: Vocabulary | None) -> list[int]:
    """Return the positions of the tokens that stand for something in the text."""
    special = () if vocabulary is None else (vocabulary.start, vocabulary.end, vocabulary.padding)
    return [position for position, token in enumerate(tokens) if token not in special]

"""Evaluating a model on pairs of texts: error rates, BLEU and chrF; or a language model on lines: perplexity.

The package sacrebleu is an extra, imported when BLEU is asked for.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from typing import Any, Final, Unpack

from s2s_runtime.error_rates import ErrorRates, error_rates
from s2s_runtime.errors import InputError, naming
from s2s_runtime.files.pair_rows import EMPTY, LeftOut, read_pairs
from s2s_runtime.files.text_source import open_text
from s2s_runtime.lazy_modules import import_extra
from s2s_runtime.model import Model
from s2s_runtime.options import OptionValues
from s2s_runtime.results import Result

__all__ = [
    "Decoded",
    "Evaluation",
    "Perplexity",
    "decode_pairs",
    "evaluate",
    "perplexity",
    "read_lines",
    "read_references",
]

CHUNK = 512  # sources decoded between two reports of progress
_MOST: Final = 700.0  # nats of a symbol, whose exponential is a number still
References = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Decoded:
    """The outputs of a model for some sources, beside the right ones.

    Attributes:
        sources: the source texts.
        outputs: the text that the model found best for each.
        references: the right texts of each source, at least one.
        seconds: time it took to decode them.
        results: all that is known of each output, where it was asked for.
    """

    sources: Sequence[str]
    outputs: Sequence[str]
    references: Sequence[Sequence[str]]
    seconds: float
    results: Sequence[Result] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of a model on pairs.

    Attributes:
        errors: share of wrong sequences (WER of a pronunciation model) and of wrong tokens (its PER), each output
            compared with its nearest reference, cut into tokens by the target vocabulary; phones count as wholes.
        bleu: of the corpus, by sacrebleu with its own tokenisation (Papineni et al. 2002, Post 2018); 0 to 100, None
            where not asked for.
        chrf: of the corpus, by sacrebleu (Popovic 2015); 0 to 100, None where not asked for.
        signatures: what sacrebleu computed, in its own words, by name of the figure.
        seconds: time it took to decode.
    """

    errors: ErrorRates
    bleu: float | None
    chrf: float | None
    signatures: Mapping[str, str]
    seconds: float

    def to_dict(self) -> dict[str, object]:
        """Return everything that was computed, as plain values for JSON."""
        figures: dict[str, object] = asdict(self.errors)
        for name in ("bleu", "chrf"):
            if getattr(self, name) is not None:
                figures |= {name: getattr(self, name), f"{name}_signature": self.signatures[name]}
        return figures | {"seconds": round(self.seconds, 2)}


@dataclass(frozen=True, slots=True)
class Perplexity:
    """How well a language model predicts lines.

    Attributes:
        lines: how many.
        symbols: how many were predicted, ends of lines among them; where there is no start token each line's first
            symbol is given, not predicted.
        log_probability: of them all, natural.
        perplexity: the exponential of minus the mean log-probability of a symbol.
    """

    lines: int
    symbols: int
    log_probability: float
    perplexity: float


def perplexity(
    model: Model, lines: Sequence[str], progress: Callable[[int], object] = lambda scored: None
) -> Perplexity:
    """Return how well a language model predicts lines, each from its beginning.

    Args:
        model: a language model with a vocabulary.
        lines: texts, at least one.
        progress: called with the number of lines just scored, whenever some are.

    Raises:
        InputError: the bundle has no vocabulary, there are no lines, or none has a symbol to predict.
    """
    if model.manifest.kind != "decoder-only" or model.target_vocabulary is None:
        raise InputError("perplexity: expected the bundle of a language model with a vocabulary")
    total, symbols = 0.0, 0
    for start in range(0, len(lines), CHUNK):
        part = lines[start : start + CHUNK]
        for scored in model.score([""] * len(part), part):
            total, symbols = total + scored.log_probability, symbols + len(scored.token_scores) - scored.given
        progress(len(part))
    if not symbols:
        raise InputError("perplexity: expected a line with a symbol to predict, got none")
    return Perplexity(len(lines), symbols, total, math.exp(min(-total / symbols, _MOST)))


def read_lines(path: str | os.PathLike[str], rows: int | None, encoding: str | None, left_out: LeftOut) -> list[str]:
    """Read the lines of a text that aren't empty.

    Args:
        path: the file, packed by gzip, bzip2 or xz or not.
        rows: only the first so many lines; None = all.
        encoding: encoding of the file; None = UTF-8.
        left_out: counts the lines left out, or refuses the first.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the file isn't in that encoding.
    """
    lines = []
    with open_text(path, encoding) as opened:
        for number, line in islice(opened.lines(), rows):
            left_out.seen = number
            if line.strip():
                lines.append(line)
            else:
                left_out.add(str(path), number, EMPTY)
    return lines


def read_references(
    path: str | os.PathLike[str],
    rows: int | None = None,
    *,
    first_only: bool = False,
    encoding: str | None = None,
    left_out: LeftOut | None = None,
) -> dict[str, list[str]]:
    """Read the pairs of a file: `source<TAB>right target[<TAB>further right target ...]` per line.

    Lines with the same source are one source with several right targets. Lines without source or right target are left
    out.

    Args:
        path: the file, packed by gzip, bzip2 or xz or not.
        rows: only the first so many lines; None = all.
        first_only: whether columns after the second are something else, and to be ignored.
        encoding: encoding of the file; None = UTF-8.
        left_out: counts the lines left out, or refuses the first; None = they aren't counted.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the file isn't in that encoding, a line (named by its number) has no tab, or no line holds a pair.
    """
    references: dict[str, dict[str, None]] = {}  # the inner one as an ordered set
    with open_text(path, encoding) as opened:
        for _, source, right in read_pairs(opened, left_out or LeftOut(), rows=rows, all_targets=not first_only):
            references.setdefault(source, {}).update(dict.fromkeys(right))
    return {source: list(right) for source, right in references.items()}


def decode_pairs(
    model: Model,
    references: References,
    progress: Callable[[int], object] = lambda decoded: None,
    *,
    keep_results: bool = False,
    **options: Unpack[OptionValues],
) -> Decoded:
    """Decode every source once, and return the outputs beside the right ones.

    Args:
        model: a model with vocabularies on both sides.
        references: the right targets of each source.
        progress: called with the number of sources just decoded, whenever some are.
        keep_results: whether to keep hypotheses and scores, and not the best texts alone.
        **options: how to decode: the fields of `DecodingOptions`.

    Raises:
        InputError: the bundle has no vocabularies, there are no sources, or the model can't read one.
    """
    if model.manifest.kind == "decoder-only":
        raise InputError("evaluation: a language model has no pairs of texts; `score` says how likely it finds a text")
    if model.source_vocabulary is None or model.target_vocabulary is None:
        raise InputError("evaluation: expected a bundle with vocabularies on both sides, this one knows numbers only")
    if not references:
        raise InputError("evaluation: expected at least one pair, got none")
    sources = list(references)
    outputs: list[str] = []
    kept: list[Result] = []
    started = time.perf_counter()
    for start in range(0, len(sources), CHUNK):
        part = sources[start : start + CHUNK]
        with naming(partial(_source_at, part)):
            results = model.generate(part, **options)
        outputs += [result.text for result in results]
        kept += results if keep_results else []
        progress(len(part))
    seconds = time.perf_counter() - started
    return Decoded(sources, outputs, [references[source] for source in sources], seconds, kept)


def _source_at(part: Sequence[str], index: int) -> str:
    return f"source {part[index]!r}"


def evaluate(model: Model, decoded: Decoded, *, bleu: bool = False) -> Evaluation:
    """Compare what was decoded with what is right.

    Args:
        model: the model whose target vocabulary cuts texts into tokens.
        decoded: what `decode_pairs` gave.
        bleu: whether to compute BLEU and chrF.

    Raises:
        InputError: the bundle has no target vocabulary.
        MissingExtraError: sacrebleu is not installed.
    """
    outputs, references = split_decoded(model, decoded)
    figures, signatures = _sacrebleu(decoded) if bleu else ({}, {})
    return Evaluation(
        error_rates(outputs, references), figures.get("bleu"), figures.get("chrf"), signatures, decoded.seconds
    )


def split_decoded(model: Model, decoded: Decoded) -> tuple[list[list[str]], list[list[list[str]]]]:
    """Return the tokens of every output, and of its references.

    Raises:
        InputError: the bundle has no target vocabulary.
    """
    vocabulary = model.target_vocabulary
    if vocabulary is None:
        raise InputError("evaluation: expected a bundle with a target vocabulary, this one knows numbers only")
    return (
        [vocabulary.split_whole(text) for text in decoded.outputs],
        [[vocabulary.split_whole(text) for text in right] for right in decoded.references],
    )


def import_metrics() -> Any:
    """Return the module of sacrebleu's metrics, which is untyped.

    Raises:
        MissingExtraError: sacrebleu is not installed.
    """
    return import_extra("sacrebleu.metrics", "'s2s-runtime[evaluate]'")


def _sacrebleu(decoded: Decoded) -> tuple[dict[str, float], dict[str, str]]:
    metrics = import_metrics()
    # One stream per rank of reference; sources with fewer have None there.
    most = max(len(right) for right in decoded.references)
    streams = [_ranked(decoded.references, rank) for rank in range(most)]
    figures, signatures = {}, {}
    for name, metric in (("bleu", metrics.BLEU()), ("chrf", metrics.CHRF())):
        figures[name] = float(metric.corpus_score(list(decoded.outputs), streams).score)
        signatures[name] = str(metric.get_signature())
    return figures, signatures


def _ranked(references: Iterable[Sequence[str]], rank: int) -> list[str | None]:
    return [right[rank] if rank < len(right) else None for right in references]

"""Items and comparisons made of what systems wrote."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from s2s_runtime.errors import InputError, UnknownSymbolError
from s2s_runtime.evaluation import CHUNK, Decoded, decode_pairs, import_metrics, split_decoded
from s2s_runtime.files.text_source import open_text
from s2s_runtime.model import Model
from s2s_runtime.report.items import Item, nearest_right, steps_of
from s2s_runtime.report.reliability import Reliability, measure_reliability
from s2s_runtime.report.significance import Compared, Difference, compare_items, difference, resampled
from s2s_runtime.results import Result
from s2s_runtime.search.scoring import LengthPenalty
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary

_BLEU_SAMPLES: Final = 1_000


def make_items(model: Model, decoded: Decoded, length_penalty: float = 1.0) -> list[Item]:
    """Return the outputs one by one, with probabilities and hypotheses where results were kept.

    Args:
        model: what decoded them; its vocabularies cut texts into tokens.
        decoded: its outputs, or those of another system.
        length_penalty: with which the results were scored.
    """
    outputs, references = split_decoded(model, decoded)
    found = [nearest_right(*pair) for pair in zip(outputs, references, strict=True)]
    steps = model.manifest.kind == "encoder-decoder"  # others have no target that isn't as long as they write
    own = [_log_probability(result, length_penalty) for result in decoded.results] or [None] * len(found)
    right_texts = [rights[index] for rights, (index, _) in zip(decoded.references, found, strict=True)]
    wrong = [i for i, (_, edits) in enumerate(found) if edits and decoded.results and steps]
    scores = _score([decoded.sources[i] for i in wrong], [right_texts[i] for i in wrong], model)
    scored = dict(zip(wrong, scores, strict=True))
    nbest = _nbest(model, decoded.results, references)
    return [
        Item(
            source=decoded.sources[i],
            output=decoded.outputs[i],
            right=right_texts[i],
            steps=steps_of(references[i][index], outputs[i], edits),
            edits=edits,
            length=len(references[i][index]),
            log_probability=own[i],
            right_log_probability=scored.get(i) if edits else own[i],
            confidence=_confidence(decoded.results[i], own[i]) if decoded.results else None,
            nbest=nbest[i] if nbest else (),
        )
        for i, (index, edits) in enumerate(found)
    ]


def _log_probability(result: Result, length_penalty: float) -> float | None:
    """Return the log-probability of the best hypothesis of a result, to be compared with that of its right target."""
    best = result.hypotheses[0]
    length = len(best.ids) + (best.finish_reason == "end")
    return None if best.score is None else best.score * LengthPenalty(length_penalty).divisor(length)


def _confidence(result: Result, log_probability: float | None) -> float | None:
    """Return how sure the model is of a result; its probability where the model gives no confidences, as with CTC."""
    if result.confidence is not None or log_probability is None:
        return result.confidence
    return math.exp(log_probability)


def _nbest(
    model: Model, results: Sequence[Result], references: Sequence[Sequence[Sequence[str]]]
) -> list[list[tuple[int, int]]]:
    """Return edits and length of the nearest right target for each hypothesis of each result."""
    vocabulary = _target_vocabulary(model)
    kept = []
    for result, rights in zip(results, references, strict=bool(results)):
        cut = [vocabulary.split_whole(hypothesis.text) for hypothesis in result.hypotheses]
        nearest = [nearest_right(tokens, rights) for tokens in cut]
        kept.append([(edits, len(rights[index])) for index, edits in nearest])
    return kept


def _score(sources: Sequence[str], targets: Sequence[str], model: Model) -> Iterator[float | None]:
    """Yield the log-probability of each target; None where the vocabulary lacks one of its symbols."""
    vocabulary = _target_vocabulary(model)
    for start in range(0, len(sources), CHUNK):
        ids = [_ids(vocabulary, target) for target in targets[start : start + CHUNK]]
        known = [i for i, given in enumerate(ids) if given is not None]
        pairs = [sources[start + i] for i in known], [ids[i] or [] for i in known]
        scores = dict(zip(known, model.score(*pairs, length_penalty=0.0), strict=True)) if known else {}
        yield from (scores[i].log_probability if i in scores else None for i in range(len(ids)))


def _ids(vocabulary: Vocabulary, text: str) -> list[int] | None:
    try:
        ids, unknown = vocabulary.look_up(text)
    except UnknownSymbolError:
        return None
    return None if unknown else ids


def _target_vocabulary(model: Model) -> Vocabulary:
    vocabulary = model.target_vocabulary
    if vocabulary is None:
        raise InputError("report: expected a bundle with a target vocabulary, this one knows numbers only")
    return vocabulary


def measured_reliability(model: Model, references: Mapping[str, Sequence[str]], beam_size: int = 1) -> Reliability:
    """Decode sources and compare how sure the model is with what is right."""
    decoded = decode_pairs(model, references, keep_results=True, beam_size=beam_size, return_confidence=True)
    outputs, rights = split_decoded(model, decoded)
    right = [output in all_right for output, all_right in zip(outputs, rights, strict=True)]
    return measure_reliability([result.confidence or 0.0 for result in decoded.results], right)


def count_targets(model: Model, references: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return how often each token occurs in the right targets."""
    vocabulary = _target_vocabulary(model)
    texts = (text for rights in references.values() for text in rights)
    return Counter(token for text in texts for token in vocabulary.split_whole(text))


def read_outputs(path: str | os.PathLike[str], decoded: Decoded) -> Decoded:
    """Read what another system wrote for the same sources, as `s2s-evaluate --outputs` writes it.

    Args:
        path: lines of source, output and further columns, which are passed over.
        decoded: gives sources and right targets.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: a line has no tab, or a source is missing.
    """
    written: dict[str, str] = {}
    with open_text(path) as opened:
        for number, line in opened.lines():
            source, tab, rest = line.partition("\t")
            if not tab:
                raise InputError(f"{path}, line {number}: expected source<TAB>output, as --outputs writes them")
            written.setdefault(source, rest.partition("\t")[0])
    missing = [source for source in decoded.sources if source not in written]
    if missing:
        raise InputError(
            f"{path}: expected an output for every source of the pairs, got none for {len(missing):,} of "
            f"{len(decoded.sources):,}, such as {missing[0]!r}"
        )
    outputs = [written[source] for source in decoded.sources]
    return Decoded(decoded.sources, outputs, decoded.references, 0.0)


def compare_systems(
    name: str, model: Model, decoded: Decoded, items: Sequence[Item], other: Decoded, *, bleu: bool
) -> Compared:
    """Compare a model's outputs with those of another system.

    Args:
        name: what the other system is.
        model: what cuts texts into tokens.
        decoded: its outputs.
        items: what `make_items` made of them.
        other: the outputs of the other, of the same sources.
        bleu: whether to compare BLEU too.

    Raises:
        MissingExtraError: sacrebleu is not installed.
    """
    further = [_bleu(decoded, other)] if bleu else []
    return compare_items(name, items, make_items(model, other), further)


def _bleu(decoded: Decoded, other: Decoded) -> Difference:
    """Return the difference of BLEU, of samples by the statistics of each sentence, as sacrebleu counts them."""
    metric = import_metrics().BLEU()

    def counted(system: Decoded) -> list[list[int]]:
        parts = []
        for output, rights in zip(system.outputs, system.references, strict=True):
            score = metric.corpus_score([output], [[right] for right in rights])
            parts.append([*score.counts, *score.totals, score.sys_len, score.ref_len])
        return parts

    def bleu(sums: Sequence[int]) -> float:
        order = (len(sums) - 2) // 2
        parts = {"correct": list(sums[:order]), "total": list(sums[order:-2])}
        return float(metric.compute_bleu(**parts, sys_len=sums[-2], ref_len=sums[-1], smooth_method="exp").score)

    numbers = np.hstack([np.array(counted(system), np.int64) for system in (decoded, other)])  # (sentences, both)
    half = numbers.shape[1] // 2
    sums = [row for part in resampled(numbers, _BLEU_SAMPLES) for row in part.tolist()]
    samples = np.array([(bleu(row[:half]), bleu(row[half:])) for row in sums])
    whole = numbers.sum(axis=0).tolist()
    return difference("BLEU", np.array([bleu(whole[:half]), bleu(whole[half:])]), samples, is_rate=False)

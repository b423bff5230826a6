"""Verification: the bundle against the Keras model it came from, before anyone can use it.

Two kinds of evidence. Tensors: encoder outputs against the split encoder, and the outputs of every decoder step against
the whole training model fed with a random target. Sequences: greedy and beam decoding by the runtime against the
oracle, batched and one by one. A difference where the two best candidates are nearer than `NEAR_TIE` is counted apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnxruntime
from keras import tree

import s2s_runtime
from s2s_export.errors import ExportError, VerificationError
from s2s_export.oracle import Decoded, Oracle
from s2s_export.padding_policy import source_array
from s2s_export.understand import Understanding
from s2s_runtime.bundle import Manifest
from s2s_training.split import SplitModel

NEAR_TIE = 1e-4
BEAM_SIZE = 5
_GREEDY_SENTENCES = 24
_BEAM_SENTENCES = 8
_LONGEST = 40
_TIMES = 3  # so many copies of the sources are a batch for which the graph takes its way for many rows
_UNKNOWN_LENGTH = 12
_FORCED_STEPS = 8
_UNLIKELY = -20.0  # Keras's float32 softmax rounds what lies below to few digits, or to 0; only that it is below counts


@dataclass(frozen=True)
class Check:
    """One line of the report.

    Attributes:
        what: what was compared.
        compared: how many tensors or sequences.
        difference: the largest absolute difference met; None where tokens were compared.
        different: how many differ beyond tolerance, near ties not counted.
        near_ties: sequences that differ where two candidates were nearer than `NEAR_TIE`.
    """

    what: str
    compared: int
    difference: float | None
    different: int
    near_ties: int = 0

    @property
    def passed(self) -> bool:
        """Whether nothing differs."""
        return self.different == 0


@dataclass(frozen=True)
class Report:
    """What verification found; kept in the manifest.

    Attributes:
        checks: a line each.
        atol: largest difference allowed in tensors.
        inputs: what was decoded to compare.
        facts: what was exported: inputs, states, memories, parameters, nodes of each graph.
    """

    checks: tuple[Check, ...]
    atol: float
    inputs: str
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def to_dict(self) -> dict[str, object]:
        """The report as it stands in the manifest."""
        return {
            "atol": self.atol,
            "inputs": self.inputs,
            "passed": self.passed,
            "sequences": sum(check.compared for check in self.checks if check.difference is None),
            "largest_difference": max((c.difference for c in self.checks if c.difference is not None), default=0.0),
            **self.facts,
            "checks": [asdict(check) for check in self.checks],
        }


@dataclass(frozen=True)
class Subject:
    """What is verified: the training model and what was made of it."""

    model: keras.Model
    split: SplitModel
    facts: Understanding
    manifest: Manifest


def verify(folder: Path, subject: Subject, texts: Sequence[str], atol: float) -> Report:
    """Compares a bundle that still stands in its temporary folder with Keras.

    Args:
        folder: the bundle.
        subject: where it came from.
        texts: sentences to decode; without them sources of several lengths are generated.
        atol: largest difference allowed in any tensor.
    """
    oracle = Oracle(subject.model, subject.split, subject.facts)
    sources = _encoded(texts, subject.facts) if texts else _generated(subject.facts)
    max_length = subject.facts.target.max_length or _UNKNOWN_LENGTH
    runtime = s2s_runtime.load(folder)
    checks = _tensor_checks(folder, subject, oracle, sources[:8], atol)
    if subject.facts.target.feedback == "value":
        checks.append(_value_check(runtime, oracle, sources, max_length, atol))
    else:
        checks += _sequence_checks(runtime, oracle, sources, max_length)
    return Report(tuple(checks), atol, f"{len(sources)} {'sentences given' if texts else 'generated sources'}")


def refuse_failed(report: Report) -> None:
    """Raises `VerificationError` that names every failed check; a report that passed is let through."""
    failed = [f"{c.what}: {c.different} of {c.compared} differ{_by(c)}" for c in report.checks if not c.passed]
    if failed:
        raise VerificationError(
            f"the exported graphs do not give what Keras gives, nothing was written: {'; '.join(failed)} "
            f"(allowed: {report.atol:g}; --atol sets it)"
        )


def _by(check: Check) -> str:
    return "" if check.difference is None else f", by up to {check.difference:.2g}"


def _encoded(texts: Sequence[str], facts: Understanding) -> list[np.ndarray]:
    if facts.source_vocabulary is None:
        raise ExportError("texts to verify with need a source vocabulary: give --vocab FILE")
    return [np.asarray(facts.source_vocabulary.encode_sentence(text), dtype=np.int64) for text in texts]


def _generated(facts: Understanding) -> list[np.ndarray]:
    """Random sources of several lengths, of ordinary symbols where a vocabulary tells which those are."""
    rng = np.random.default_rng(0)
    longest = facts.padding.length or _LONGEST
    if facts.source.kind == "values":
        lengths = [longest if facts.padding.length else int(n) for n in rng.integers(1, longest + 1, _GREEDY_SENTENCES)]
        return [rng.normal(size=(n, facts.source.size)).astype(np.float32) for n in lengths]
    vocabulary = facts.source_vocabulary
    special = {facts.padding.id}
    if vocabulary is not None:
        special |= {vocabulary.padding_id, vocabulary.start_id, vocabulary.end_id}
    ordinary = [i for i in range(facts.source.size) if i not in special]
    return [rng.choice(ordinary, size=int(n)) for n in rng.integers(1, longest + 1, _GREEDY_SENTENCES)]


def _tensor_checks(
    folder: Path, subject: Subject, oracle: Oracle, sources: list[np.ndarray], atol: float
) -> list[Check]:
    facts, split = subject.facts, subject.split
    sessions = {
        name: onnxruntime.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])
        for name in ("encoder", "decoder")
    }
    batch = _padded(sources, facts)
    made = sessions["encoder"].run(None, {"source": batch})
    array = batch if facts.source.kind == "values" else source_array(split, facts.source, batch)
    expected = [np.asarray(tensor) for tensor in tree.flatten(split.encoder([array], training=False))]
    crossing = [_largest(one, other) for one, other in zip(made, expected, strict=True)]
    steps = min(facts.target.max_length or _UNKNOWN_LENGTH, _FORCED_STEPS)
    wanted, fed = _training_outputs(oracle, facts, sources, steps)
    stepped = _stepped(sessions["decoder"], subject, made, fed, wanted.shape[1])
    if facts.target.feedback != "value":
        stepped, wanted = np.maximum(stepped, _UNLIKELY), np.maximum(wanted, _UNLIKELY)
    outputs = [_largest(stepped[:, step], wanted[:, step]) for step in range(wanted.shape[1])]
    return [
        Check("encoder outputs, against Keras", len(crossing), max(crossing), sum(d > atol for d in crossing)),
        Check("decoder steps, against the training model", len(outputs), max(outputs), sum(d > atol for d in outputs)),
    ]


def _largest(one: np.ndarray, other: np.ndarray) -> float:
    """Largest absolute difference; infinite where shapes differ or a number is not finite."""
    if one.shape != other.shape:
        return float("inf")
    difference = np.abs(one.astype(np.float64) - other.astype(np.float64))
    return float(difference.max(initial=0.0)) if np.isfinite(difference).all() else float("inf")


def _padded(sources: list[np.ndarray], facts: Understanding) -> np.ndarray:
    """Sources as one batch of graph input."""
    width = facts.padding.length or max(len(source) for source in sources)
    shape = (len(sources), width, *sources[0].shape[1:])
    batch = np.full(shape, 0 if facts.padding.id is None else facts.padding.id, dtype=sources[0].dtype)
    for row, source in zip(batch, sources, strict=True):
        row[(slice(-len(source), None) if facts.padding.side == "left" else slice(len(source)))] = source
    return batch


def _training_outputs(
    oracle: Oracle, facts: Understanding, sources: list[np.ndarray], steps: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """The training model's outputs for a random target (log-probabilities, or values), and what was fed."""
    count, rng = len(sources), np.random.default_rng(2)
    if facts.target.feedback == "value":
        fed = rng.normal(size=(count, steps, facts.target.size)).astype(np.float32)
        width = oracle.target_width or steps
        padded = np.pad(fed, [(0, 0), (0, width - steps), (0, 0)])
        return oracle.outputs(sources, padded)[:, :steps], fed
    ordinary = [i for i in range(facts.target.size) if i != facts.target.padding_id]
    tokens = rng.choice(ordinary, size=(count, steps))
    if facts.target.feedback == "token":
        tokens[:, 0] = facts.target.start_id
    rows = [oracle.log_probabilities(sources, [list(row[1 : t + 1]) for row in tokens]) for t in range(steps)]
    return np.stack(rows, axis=1), tokens if facts.target.feedback == "token" else None


def _stepped(
    session: Any, subject: Subject, crossing: Sequence[np.ndarray], fed: np.ndarray | None, steps: int
) -> np.ndarray:
    """The decoder graph run step by step on the same target: log-probabilities (or values) of each step."""
    manifest, values = subject.manifest, subject.facts.target.feedback == "value"
    read = {tensor.name for tensor in session.get_inputs()}
    names = [spec.name for spec in (*manifest.states, *manifest.memory)]
    feeds = dict(zip(names, crossing, strict=True))
    made = []
    for step in range(steps):
        if fed is not None:
            feeds["value" if values else "token"] = fed[:, step]
        output, *rest = session.run(None, {name: value for name, value in feeds.items() if name in read})
        feeds.update(zip((spec.name for spec in manifest.states), rest, strict=False))
        made.append(output if values else _log_softmax(output))
    return np.stack(made, axis=1)


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def _value_check(runtime: Any, oracle: Oracle, sources: list[np.ndarray], steps: int, atol: float) -> Check:
    """A continuous model fed its own outputs, every step compared."""
    by_length: dict[int, list[np.ndarray]] = {}
    for source in sources:
        by_length.setdefault(len(source), []).append(source)
    differences = [
        _largest(runtime.predict(np.stack(group), steps=steps), oracle.values(group, steps))
        for group in by_length.values()
    ]
    different = sum(difference > atol for difference in differences)
    return Check("fed-back values, against the training model", len(sources), max(differences), different)


def _sequence_checks(runtime: Any, oracle: Oracle, sources: list[np.ndarray], max_length: int) -> list[Check]:
    rows = [source.tolist() for source in sources]
    options: dict[str, Any] = {"max_length": max_length, "return_end_token": bool(runtime.manifest.target.end_ids)}
    expected = oracle.greedy(sources, max_length)
    single = [runtime.generate([row], **options)[0] for row in rows[:4]]
    few = range(min(_BEAM_SENTENCES, len(rows)))
    beams = [ranked[0] for ranked in oracle.beam([sources[i] for i in few], BEAM_SIZE, max_length)]
    searched = {**options, "beam_size": BEAM_SIZE, "length_penalty": 1.0, "return_scores": True}
    return [
        _compare("greedy, one mixed batch", runtime.generate(rows, **options, engine="graph"), expected),
        _compare(
            "greedy, a large batch", runtime.generate(rows * _TIMES, **options, engine="graph"), expected * _TIMES
        ),
        _compare("greedy, step by step", runtime.generate(rows, **options, engine="steps"), expected),
        _compare("greedy, one by one", single, expected[: len(single)]),
        _compare(f"beam {BEAM_SIZE}, one mixed batch", runtime.generate(rows[: len(few)], **searched), beams),
        _compare(
            f"beam {BEAM_SIZE}, step by step", runtime.generate(rows[: len(few)], **searched, engine="steps"), beams
        ),
    ]


def _compare(what: str, results: Sequence[Any], expected: Sequence[Decoded]) -> Check:
    """Tokens against the oracle's; where they part at a near tie, the difference is counted apart."""
    parted = [
        (result, decoded)
        for result, decoded in zip(results, expected, strict=True)
        if list(result.ids) != decoded.tokens
    ]
    ties = sum(_is_near_tie(result, decoded) for result, decoded in parted)
    return Check(what, len(expected), None, len(parted) - ties, ties)


def _is_near_tie(result: Any, decoded: Decoded) -> bool:
    if np.isfinite(decoded.gap):  # greedy: two candidates of some step stood too close
        return bool(decoded.gap < NEAR_TIE)
    return result.score is not None and abs(result.score - decoded.score) < NEAR_TIE

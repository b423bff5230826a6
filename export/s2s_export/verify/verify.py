"""Verification: the bundle against the Keras model it came from, before anyone can use it.

Two kinds of evidence. Tensors: encoder outputs against the split encoder, and the outputs of every decoder step against
the whole training model fed with a random target. Sequences: greedy and beam decoding by the runtime against the
oracle, batched and one by one. A difference where the two best candidates are nearer than `NEAR_TIE` is counted apart.
What differs by more than most models' rounding is held against how far rounding alone moves this one: `Rounding`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnxruntime
from keras import tree

import s2s_runtime
from s2s_export.errors import VerificationError
from s2s_export.options import ExportOptions
from s2s_export.understand.bundle_terms import Understanding
from s2s_export.understand.given_vocabularies import usual_padding
from s2s_export.understand.padding_policy import for_encoder, ordinary_ids
from s2s_export.verify.checks import TIMES, UNLIKELY, Check, compare_tokens, log_softmax
from s2s_export.verify.coverage import BEAM_SIZE, Coverage, coverage
from s2s_export.verify.ctc_checks import ctc_checks
from s2s_export.verify.one_pass_checks import one_pass_checks
from s2s_export.verify.oracle import Oracle
from s2s_export.verify.rounding import ATOL, Rounding, RoundingOf, largest
from s2s_export.verify.samples import Sentence, by_lengths, for_runtime, in_words, padded, sentences
from s2s_runtime.bundle.manifest_file import Manifest
from s2s_runtime.spelling import option
from s2s_training.splitting.splitter import SplitModel
from s2s_training.splitting.stepped_model import SteppedModel

_COLD = 1e-6  # a temperature at which nothing but the likeliest token has a share

_FORCED_STEPS = 8


@dataclass(frozen=True)
class Report:
    """What verification found; the manifest keeps it.

    Attributes:
        checks: a line each.
        atol: largest difference allowed in tensors, or in most: checks say where more was, as rounding moves the model.
        inputs: what was decoded to compare.
        facts: what was exported: inputs, states, memories, parameters, nodes of each graph, and what to know of it.
    """

    checks: tuple[Check, ...]
    atol: float
    inputs: str
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def within(self) -> float:
        """Return what no difference exceeds: `atol`, or what was allowed of a check that needed more."""
        return max([self.atol, *(check.allowed or 0.0 for check in self._beyond)])

    @property
    def _beyond(self) -> list[Check]:
        return [check for check in self.checks if (check.difference or 0.0) > self.atol]

    def roundings(self) -> list[str]:
        """Return a line for each check that needed more than `atol`: this model multiplies rounding."""
        return [
            f"{check.what}: a difference of {check.difference:.2g}, which is rounding: {check.allowed:.2g} is allowed, "
            "three times as far as the model itself moves when its weights are rounded otherwise"
            for check in self._beyond
        ]

    def to_dict(self) -> dict[str, object]:
        """Return the report as it stands in the manifest."""
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


def verify(folder: Path, subject: Subject, options: ExportOptions) -> Report:
    """Compare a bundle that still stands in its temporary folder with Keras.

    Args:
        folder: the bundle.
        subject: where it came from.
        options: which sentences to decode, and how far tensors may differ.
    """
    oracle = Oracle(subject.model, subject.split, subject.facts)
    covered = coverage(subject.model, subject.facts, options)
    sources, atol = sentences(options, subject.facts, covered.sources), ATOL if options.atol is None else options.atol
    rounding = partial(Rounding, subject.model, options.atol)
    told = in_words(sources, options, subject.facts)
    if subject.split.one_graph:
        compare = ctc_checks if subject.split.kind == "ctc" else one_pass_checks
        with s2s_runtime.load(folder) as runtime:
            given = compare((runtime, oracle, subject.facts), sources, rounding)
        return Report(tuple(given), atol, told)
    few = sources[: covered.beam_sources]
    steps = min(covered.steps, _FORCED_STEPS)
    outputs = rounding(partial(_training_steps, oracle, subject.facts, few, steps))
    checks = _tensor_checks((folder, subject, oracle), few, steps, (rounding, outputs))
    if subject.facts.target.feedback == "value":
        with s2s_runtime.load(folder) as runtime:
            checks.append(_value_check((runtime, oracle, subject.facts), sources, covered.steps, rounding))
    else:
        checks += _sequence_checks(folder, (oracle, subject.facts, outputs), sources, covered)
    return Report(tuple(checks), atol, told + covered.in_words())


def refuse_failed(report: Report) -> None:
    """Raise `VerificationError` that names every failed check; let a report that passed through."""
    failed = [f"{c.what}: {c.different} of {c.compared} differ{_by(c)}" for c in report.checks if not c.passed]
    if failed:
        numbers = any(not check.passed and check.difference is not None for check in report.checks)
        why = f" (allowed is what rounding makes of this model, at least {ATOL:g}, or what {option('atol')} says)"
        raise VerificationError(
            f"the exported graphs do not give what Keras gives, nothing was written: {'; '.join(failed)}"
            + (why if numbers else "")
        )


def _by(check: Check) -> str:
    return "" if check.difference is None else f", by up to {check.difference:.2g} where {check.allowed:.2g} is allowed"


def _tensor_checks(
    compared: tuple[Path, Subject, Oracle],
    sources: list[Sentence],
    steps: int,
    roundings: tuple[RoundingOf, Rounding],
) -> list[Check]:
    (folder, subject, oracle), (rounding, of_outputs) = compared, roundings
    facts, split = subject.facts, subject.split
    sessions = {
        name: onnxruntime.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])
        for name in ("encoder", "decoder")
    }
    batch = padded(sources, facts)
    names = [tensor.name for tensor in facts.source.inputs]
    made = sessions["encoder"].run(None, dict(zip(names, batch, strict=True)))
    arrays = for_encoder(split, facts.sources, batch)

    def encoded() -> list[np.ndarray]:
        return [np.asarray(tensor) for tensor in tree.flatten(split.encoder(arrays, training=False))]

    crossing = [largest(one, other) for one, other in zip(made, encoded(), strict=True)]
    wanted, fed = _training_outputs(oracle, facts, sources, steps)
    stepped = _stepped(sessions["decoder"], subject, made, fed, wanted.shape[1])
    both = zip(_by_step(stepped, facts), _by_step(wanted, facts), strict=True)
    outputs = [largest(one, other) for one, other in both]
    return [
        Check.of_numbers("encoder outputs, against Keras", crossing, rounding(encoded)),
        Check.of_numbers(f"decoder steps, against {called(subject.model)}", outputs, of_outputs),
    ]


def _by_step(outputs: np.ndarray, facts: Understanding) -> list[np.ndarray]:
    """Return outputs (sentences, steps, ...) step by step, log-probabilities not below `UNLIKELY`."""
    floored = outputs if facts.target.feedback == "value" else np.maximum(outputs, UNLIKELY)
    return list(np.moveaxis(floored, 1, 0))


def _training_steps(oracle: Oracle, facts: Understanding, sources: list[Sentence], steps: int) -> list[np.ndarray]:
    return _by_step(_training_outputs(oracle, facts, sources, steps)[0], facts)


def called(model: keras.Model) -> str:
    """Return what the report calls what a bundle is compared with."""
    return "your own loop" if isinstance(model, SteppedModel) else "the training model"


def _training_outputs(
    oracle: Oracle, facts: Understanding, sources: list[Sentence], steps: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the training model's outputs for a random target (log-probabilities or values), and what was fed."""
    count, rng = len(sources), np.random.default_rng(2)
    if facts.target.feedback == "value":
        fed = rng.normal(size=(count, steps, facts.target.size)).astype(np.float32)
        width = oracle.target_width or steps
        padded = np.pad(fed, [(0, 0), (0, width - steps), (0, 0)])
        return oracle.outputs(sources, padded, width)[:, :steps], fed
    ordinary = ordinary_ids(facts.target.size, {facts.target.padding_id, _filler(facts)})
    tokens = rng.choice(ordinary, size=(count, steps))
    if facts.target.feedback == "token" and not facts.without_start:
        tokens[:, 0] = facts.target.start_id
    first = 0 if facts.without_start else 1
    rows = [oracle.log_probabilities(sources, [list(row[first : t + 1]) for row in tokens]) for t in range(steps)]
    return np.stack(rows, axis=1), tokens if facts.target.feedback == "token" else None


def _filler(facts: Understanding) -> int | None:
    """Return the id that is named as what fills texts: nothing feeds it back, and a layer may mask it."""
    vocabulary = facts.target_vocabulary
    return None if vocabulary is None else vocabulary.id_of(usual_padding(vocabulary.symbols))


def _stepped(
    session: Any, subject: Subject, crossing: Sequence[np.ndarray], fed: np.ndarray | None, steps: int
) -> np.ndarray:
    """Run the decoder graph step by step on the same target, and return log-probabilities or values of each step."""
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
        made.append(output if values else log_softmax(output))
    return np.stack(made, axis=1)


def _value_check(
    subject: tuple[Any, Oracle, Understanding], sources: list[Sentence], steps: int, rounding: RoundingOf
) -> Check:
    """Compare every step of a continuous model that is fed its own outputs."""
    runtime, oracle, facts = subject
    groups = [[sources[i] for i in indices] for indices in by_lengths(sources)]

    def values() -> list[np.ndarray]:
        return [oracle.values(group, steps) for group in groups]

    predicted = [runtime.predict(for_runtime(group, facts), steps=steps) for group in groups]
    given = [each.reshape(*each.shape[:2], -1) for each in predicted]
    differences = [largest(one, other) for one, other in zip(given, values(), strict=True)]
    what = f"fed-back values, against {called(oracle.model)}"
    return Check.of_numbers(what, differences, rounding(values), len(sources))


def _sequence_checks(
    folder: Path, subject: tuple[Oracle, Understanding, Rounding], sources: list[Sentence], covered: Coverage
) -> list[Check]:
    """Compare what the bundle decodes; each engine has it loaded anew, so that fewer graphs are in memory at once."""
    oracle, facts, rounding = subject
    compare = partial(compare_tokens, rounding=rounding)
    greedy, few = oracle.greedy(sources, covered.steps), sources[: covered.beam_sources]
    beams = [ranked[0] for ranked in oracle.beam(few, BEAM_SIZE, covered.steps)]
    options: dict[str, Any] = {"max_length": covered.steps, "return_end_token": bool(facts.target.end_ids)}
    searched = {**options, "beam_size": BEAM_SIZE, "length_penalty": 1.0, "return_scores": True}
    mixed, large, searching = (for_runtime(some, facts) for some in (sources, sources * TIMES, few))
    with s2s_runtime.load(folder) as runtime:
        whole = "graph" if "greedy" in runtime.manifest.graphs else "auto"
        single = [runtime.generate(for_runtime([source], facts), **options)[0] for source in sources[:4]]
        checks = [
            compare("greedy, one mixed batch", runtime.generate(mixed, **options, engine=whole), greedy),
            compare("greedy, a large batch", runtime.generate(large, **options, engine=whole), greedy * TIMES),
            compare("greedy, one by one", single, greedy[: len(single)]),
            compare(f"beam {BEAM_SIZE}, one mixed batch", runtime.generate(searching, **searched), beams),
        ]
    with s2s_runtime.load(folder) as runtime:
        stepped = runtime.generate(mixed, **options, engine="steps")
        extended = runtime.generate(searching, **searched, engine="steps")
    with s2s_runtime.load(folder) as runtime:
        scored = runtime.generate(mixed, **options, return_scores=True, engine=whole)
        drawn = runtime.generate(mixed, **options, sampling_temperature=_COLD, engine=whole)
        one = runtime.generate(mixed, **options, sampling_top_k=1, engine=whole)
    return [
        *checks,
        compare("greedy, step by step", stepped, greedy),
        compare("greedy, with scores", scored, greedy),
        compare("draws that can't but be greedy", [*drawn, *one], greedy * 2),
        compare(f"beam {BEAM_SIZE}, step by step", extended, beams),
    ]

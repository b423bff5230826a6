"""Scoring pairs of sources and targets: how likely the targets are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING, Any

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.ctc.options import check_ctc_options
from s2s_runtime.ctc.search import score_frames
from s2s_runtime.declared_options import taken_by
from s2s_runtime.declared_options.checks import has_items, is_integer
from s2s_runtime.decoding.run_failures import failures_of
from s2s_runtime.decoding.workers import Workers, allow_sharing
from s2s_runtime.errors import InputError, OptionError, UnknownSymbolError
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.inputs.batches import make_batches
from s2s_runtime.inputs.given_rows import row_in, rows_in
from s2s_runtime.inputs.sources import Inputs, Sources, read_sources
from s2s_runtime.language_models.prompts import begin, needs_prompt, read_prompts
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.options import DecodingOptions, ScoreValues, merged_values
from s2s_runtime.results import TargetScore
from s2s_runtime.search.cancellation import cancellable, stoppable
from s2s_runtime.search.forced import ForcedScores, score_targets
from s2s_runtime.search.plan import SearchPlan, make_plan
from s2s_runtime.search.step_model import StepModel
from s2s_runtime.spelling import shown

if TYPE_CHECKING:
    from s2s_runtime.fusion import guides
else:  # where a language model counts
    guides = LazyModule("fusion.guides")

Target = str | Sequence[int]


def score_options(options: DecodingOptions | None, values: ScoreValues) -> DecodingOptions:
    """Return options for scoring: no limit of length, as the targets have theirs; a beam, as coverage needs one.

    Raises:
        OptionError: an option is out of range, or doesn't apply to scoring.
    """
    taken = taken_by(DecodingOptions, "score")
    others = sorted(values.keys() - set(taken))
    if others:
        raise OptionError(f"{', '.join(others)}: no effect on scoring; expected some of {', '.join(taken)}")
    given = {name: value for name, value in merged_values(options, values).items() if name in taken}
    return DecodingOptions(beam_size=2, max_length=1, **given)


def score_pairs(
    manifest: Manifest,
    model: StepModel[Any],
    sources: Inputs,
    targets: Sequence[Target],
    options: DecodingOptions,
    *,
    workers: Workers | None = None,
    add_end: bool = True,
    first: int = 0,
) -> list[TargetScore]:
    """Score each target against its source; see `Model.score`.

    Args:
        manifest: manifest of the bundle.
        model: the step model.
        sources: as `Model.score` takes them.
        targets: one for each source.
        options: what `score_options` gave.
        workers: threads that score batches side by side; None = batches are scored one after the other.
        add_end: whether an end token is put after each target that has none.
        first: how many pairs came before these, for messages.
    """
    plan = _checked_plan(options, manifest)
    read, prompts = _read(sources, manifest, options, first)
    given = [_target_at(first + i, target, manifest, add_end) for i, target in enumerate(rows_in(targets, "targets"))]
    if len(read) != len(given):
        raise InputError(f"targets: expected one per source ({len(read)}), got {len(given)}")
    texts = [prompt + ids for prompt, (ids, _) in zip(prompts, given, strict=True)]
    begin(read, texts, manifest, first)
    _check_lengths(read, [target for target, _ in given], manifest, first)
    scores: list[TargetScore] = [TargetScore(0.0, 0.0, [])] * len(read)
    batches = make_batches(read, [[]] * len(read), options, manifest)
    shared = None if workers is None or not allow_sharing(options) else workers.share_out(batches, 1)
    parts, model = shared or (batches, model)
    stop = Event()
    model = stoppable(cancellable(model, options.cancel), stop)

    def score(batch: Batch) -> list[tuple[int, TargetScore]]:
        indices = batch.indices.tolist()
        own = [texts[i] for i in indices]
        with failures_of(batch.indices, batch.time):
            if manifest.kind == "ctc":  # the sum over all alignments: no symbol has a score of its own
                made = [TargetScore(total, total, []) for total in score_frames(model, batch, own, manifest)]
            else:
                whole = score_targets(model, batch, own, plan)
                made = [_target_score(s.behind(len(prompts[i]), plan)) for i, s in zip(indices, whole, strict=True)]
        unknown = [read.unknown.get(i, []) + given[i][1] for i in indices]
        begun = needs_prompt(manifest)
        return [
            (i, replace(s, unknown_symbols=u, given=int(begun and not prompts[i])))
            for i, s, u in zip(indices, made, unknown, strict=True)
        ]

    scored = (
        workers.map(score, parts, stop) if workers and shared else [pair for batch in parts for pair in score(batch)]
    )
    for index, target_score in scored:
        scores[index] = target_score
    return scores


def _checked_plan(options: DecodingOptions, manifest: Manifest) -> SearchPlan:
    """Return what scores are made by, language models taken in; a model trained with CTC refuses some options."""
    plan = make_plan(options, manifest)
    if manifest.kind == "ctc":
        check_ctc_options(replace(options, beam_size=1, max_length=None))
    own = None if options.language_model is None else guides.guides_of(options, manifest)
    return plan if own is None else replace(plan, guide=own.around)


def _read(sources: Inputs, manifest: Manifest, options: DecodingOptions, first: int) -> tuple[Sources, list[list[int]]]:
    """Return sources, and the prompts that targets follow; empty ones where the model has sources."""
    if manifest.kind == "decoder-only":
        return read_prompts(sources, manifest, options.unknown_symbols, first)
    read = read_sources(sources, manifest, options.unknown_symbols, first)
    return read, [[]] * len(read)


def _check_lengths(read: Sources, targets: Sequence[Sequence[int]], manifest: Manifest, first: int) -> None:
    """Refuse empty sources, and targets longer than these where each token of a target goes with one of its source.

    Raises:
        InputError: names the first.
    """
    empty = [i for i, source in enumerate(read.arrays) if len(source) == 0]
    if empty:
        raise InputError.at("sources", first + empty[0], "empty; there is nothing to score a target against")
    if not (manifest.target.aligned and manifest.padding.masked):
        return
    for i, (array, target) in enumerate(zip(read.arrays, targets, strict=True)):
        if len(target) > len(array):
            reason = f"expected at most {len(array)} tokens, one for each of its source; got {len(target)}"
            raise InputError.at("targets", first + i, reason)


def _target_score(forced: ForcedScores) -> TargetScore:
    tokens = [float(score) for score in forced.token_scores]
    return TargetScore(forced.score, sum(tokens), tokens)


def _target_at(index: int, target: Target, manifest: Manifest, add_end: bool) -> tuple[list[int], list[str]]:
    try:
        return look_up_target(target, f"targets[{index}]", manifest, add_end)
    except UnknownSymbolError as error:
        error.place = index
        raise


def _checked_ids(target: Sequence[int], name: str) -> list[int]:
    given = list(target) if has_items(target) else None
    if given is None or not all(map(is_integer, given)):
        raise InputError(f"{name}: expected a text or a list of ids, got {shown(target)}")
    return [int(token) for token in given]


def look_up_target(target: Target, name: str, manifest: Manifest, add_end: bool) -> tuple[list[int], list[str]]:
    """Return the ids of a target given as a text or as ids, and the symbols that the unknown symbol stands for.

    Raises:
        InputError: a text where there is no vocabulary, or an id outside it; the message names the target by `name`.
        UnknownSymbolError: a text holds a symbol that the vocabulary doesn't.
    """
    vocabulary, spec = manifest.target_vocabulary, manifest.target
    try:
        target = row_in(target)  # type: ignore[assignment]
    except InputError as error:
        raise InputError(f"{name}: expected a text or a list of ids, {error}") from error
    if isinstance(target, str):
        if vocabulary is None:
            raise InputError(f"{name}: expected ids, as this bundle has no target vocabulary")
        ids, unknown = vocabulary.look_up(target)
    else:
        ids, unknown = _checked_ids(target, name), []
    wrong = [token for token in ids if not 0 <= token < spec.size]
    if wrong:
        raise InputError(f"{name}: expected ids from 0 to {spec.size - 1}, got {wrong[0]}")
    if add_end and spec.end_ids and (not ids or ids[-1] not in spec.end_ids):
        ids.append(spec.end_ids[0])
    return ids, unknown

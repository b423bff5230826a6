"""The set-up of a bundle, settled: by expected outputs, by the caller, by the pairs, or assumed; and which it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras

from s2s_export.errors import ExportError
from s2s_export.evidence.expected_outputs import Proof, Trial, read_expected
from s2s_export.evidence.proof import ITEM_OPTIONS, fillers, prove
from s2s_export.evidence.setups import Ends, SetUp
from s2s_export.evidence.signs import Signs, Verdict
from s2s_export.evidence.teacher_forcing import Teacher
from s2s_export.evidence.training_memory import TrainingMemory
from s2s_export.evidence.training_pairs import ChosenRows
from s2s_export.options import ExportOptions
from s2s_export.understand.bundle_terms import Understanding, unknown_length_note
from s2s_export.understand.padding_policy import assumed_note, padding_note
from s2s_runtime.bundle.manifest_file import Manifest
from s2s_runtime.bundle.provenance import Origin, Provenance, SetUpItem, Sign
from s2s_runtime.bundle.storage import find_files
from s2s_runtime.opening.step_models import open_step_model
from s2s_runtime.ort.sessions import SessionSettings
from s2s_runtime.spelling import option
from s2s_training.splitting.splitter import SplitModel


@dataclass(frozen=True)
class Settled:
    """The understanding of a model whose set-up is settled.

    Attributes:
        facts: the understanding, with the set-up that was settled.
        provenance: how each item is known.
    """

    facts: Understanding
    provenance: Provenance

    def in_manifest(self, manifest: Manifest) -> Manifest:
        """Return the manifest with what was settled."""
        return replace(SetUp.of(self.facts).in_manifest(manifest, self.facts), setup=self.provenance)


@dataclass
class _Settling:
    """The set-up so far, and how each of its items is known."""

    setup: SetUp
    origins: dict[str, Origin]
    signs: dict[str, tuple[Sign, ...]]
    warnings: list[str]


@dataclass(frozen=True)
class Bundle:
    """A bundle that is written, but not compared with Keras yet.

    Attributes:
        folder: where its graphs lie.
        manifest: of it.
        model: the training model.
        split: it taken apart.
        facts: how it was understood.
    """

    folder: Path
    manifest: Manifest
    model: keras.Model
    split: SplitModel
    facts: Understanding


def settle(bundle: Bundle, options: ExportOptions, rows: ChosenRows | None) -> Settled:
    """Settle how a model was fed, with the very graphs that go into its bundle.

    Args:
        bundle: its graphs.
        options: what the caller gave: items given stay, pairs are evidence, expected outputs are proof.
        rows: the pairs' rows that the model was trained on, where pairs were given.

    Raises:
        ExportError: signs disagree on what nobody gave, or no set-up gives the expected outputs.
    """
    facts, given = bundle.facts, _given(options)
    state = _Settling(SetUp.of(facts), {}, {}, [])
    _start(state, facts, options, given, rows)
    if rows is None and options.expect is None:
        return _settled(state, facts, rows)
    with_texts = facts.source_vocabulary is not None and facts.target_vocabulary is not None
    model = open_step_model(find_files(bundle.folder), bundle.manifest, SessionSettings())
    writes_tokens = facts.target.feedback in ("token", "probabilities")  # either way they have likelihoods
    if rows is not None and with_texts and writes_tokens and not facts.source.others:
        _weigh(state, Teacher.drawn(model, rows.taken), bundle, rows, given)
    if options.expect is None:
        _ask(state, given)
        return _settled(state, facts, rows)
    proof = Proof(model, bundle.manifest, facts, read_expected(options.expect, options.encoding))
    told = frozenset(name for name, origin in state.origins.items() if origin == "pairs")
    trial, untold = prove(proof, state.setup, facts, given, told)
    longest = state.setup.max_length
    if not trial.cut and longest is not None:
        trial = replace(trial, setup=replace(trial.setup, max_length=max(longest, trial.longest)))
    before = state.setup.described()
    for name, value in trial.setup.described().items():
        if state.origins.get(name) == "pairs" and value != before.get(name):
            state.origins[name] = "assumed"  # the pairs told another value
    state.setup = trial.setup
    return _settled(state, facts, rows, _Proved(trial, untold, len(proof.expected)))


def _given(options: ExportOptions) -> frozenset[str]:
    """Return the names of the items that the caller gave by an option."""
    starts = options.start_id is not None or options.start_symbol is not None or options.start_zeros
    given = {
        "padding": options.padding is not None,
        "padding side": options.padding_side is not None,
        "source length": options.source_length is not None,
        "start and end": starts,
        "longest output": options.max_length is not None,
    }
    return frozenset(name for name, is_given in given.items() if is_given)


def _start(
    state: _Settling, facts: Understanding, options: ExportOptions, given: frozenset[str], rows: ChosenRows | None
) -> None:
    """Record how each item is known before anything is measured."""
    file = options.vocabulary if rows is None or not rows.rebuilt else None
    recorded = file is not None and (file.padding.masked or file.padding.id is not None or file.padding.length)
    fixed = facts.source.inputs[0].shape[1] is not None
    for name in state.setup.described():
        origin: Origin = "given" if name in given else "assumed"
        if name == "padding" and facts.padding.masked:
            origin = "model"
        elif name in ("padding", "padding side", "source length") and name not in given and recorded:
            origin = "recorded"
        elif name == "source length" and name not in given:
            origin = "model" if fixed else ("pairs" if rows is not None and rows.certain else "assumed")
        elif name == "source order" and file is not None:
            origin = "recorded"
        elif name == "start and end" and file is not None and file.target is not None and name not in given:
            origin = "assumed" if file.target.start is None else "recorded"
        elif name == "longest output" and name not in given and file is not None and file.max_length is not None:
            origin = "recorded"
        elif name == "longest output" and name not in given and file is None and facts.target.max_length is not None:
            origin = "model"
        state.origins[name] = origin
    if rows is not None and state.origins.get("source length") in ("pairs", "assumed"):
        longest = Sign("longest source of these rows", str(state.setup.padding.length), str(state.setup.padding.length))
        state.signs["source length"] = (longest,)
    if rows is not None and rows.rebuilt and state.origins.get("longest output") == "assumed":
        longest_target = rows.pairs.longest_target(rows.count)
        state.setup = replace(state.setup, max_length=longest_target + 3)
        what = "longest target of these rows with start and end; the published loop stops once more symbols are out"
        state.signs["longest output"] = (Sign(what, str(longest_target + 2), f"{longest_target + 3} tokens"),)


def _weigh(state: _Settling, teacher: Teacher, bundle: Bundle, rows: ChosenRows, given: frozenset[str]) -> None:
    """Measure the signs, and take what they agree on where nothing was given."""
    facts, padding = bundle.facts, state.setup.padding
    if padding.length is None or padding.id is None:
        return  # a mask, or values: padding plays no part
    memory = TrainingMemory.of(bundle.model, bundle.split, facts)
    # Scripts hold out the last fifth of their rows, which are the longest where files are sorted by length.
    trained = [pair for pair in rows.taken[: max(1, len(rows.taken) * 4 // 5)] if all(pair)]
    signs = Signs(teacher, memory, state.setup, trained)
    if "start and end" not in given and rows.rebuilt:
        several = [replace(state.setup, ends=ends) for ends in _all_ends(rows)]
        _take(state, "start and end", signs.ends(several), given)
        signs = Signs(teacher, memory, state.setup, trained)
    candidates = fillers(state.setup, facts)
    filler, _ = signs.source_filler(candidates)
    trial = state.setup
    if filler is not None and "padding" not in given:
        trial = replace(trial, padding=replace(trial.padding, id=filler))
    if state.origins.get("source order") != "recorded":
        order = signs.order(trial)
        _take(state, "source order", order, given)
        trial = replace(trial, reverse=state.setup.reverse)
    _take(state, "padding side", signs.side(trial), given)
    trial = replace(trial, padding=replace(trial.padding, side=state.setup.padding.side))
    _take(state, "padding", signs.padding(trial, candidates), given)


def _all_ends(rows: ChosenRows) -> list[Ends]:
    choices = []
    for ends in rows.ends:
        target = rows.pairs.vocabularies(rows.count, ends)[0].target
        if target is not None and target.start_id is not None and target.end_id is not None:
            choices.append(Ends(target.start_id, (target.end_id,), target))
    return choices


def _take(state: _Settling, name: str, verdict: Verdict, given: frozenset[str]) -> None:
    """Keep the signs of an item, and take the value on which they agree.

    It is taken where nobody gave the item; where the signs contradict what was given, a warning is kept.
    """
    state.signs[name] = (*state.signs.get(name, ()), *verdict.signs)
    fixed = name in given or state.origins.get(name) == "recorded"
    changed = state.setup if verdict.value is None else _with(state.setup, name, verdict.value)
    same = changed.described()[name] == state.setup.described()[name]
    if fixed and verdict.value is not None and not same:
        spelled = option(ITEM_OPTIONS[name]) if name in ITEM_OPTIONS else name
        state.warnings.append(
            f"{spelled}: {state.setup.described()[name]} was given, but the pairs say "
            f"{changed.described()[name]}: {'; '.join(map(str, verdict.signs))}"
        )
    elif not fixed and verdict.disagree:
        state.origins[name] = "assumed"
        state.warnings.append(f"the signs disagree on the {name}: {verdict.figures}")
    elif not fixed and verdict.value is not None:
        state.setup, state.origins[name] = changed, "pairs"
        if verdict.doubt:
            state.warnings.append(
                f"the {name} is {changed.described()[name]} by {verdict.signs[0]}, yet there is a sign against it: "
                f"{verdict.doubt}; {option('expect', 'FILE')} would prove it"
            )


def _with(setup: SetUp, name: str, value: object) -> SetUp:
    """Return the set-up with one item changed, which is named as in `Signs`."""
    if name == "padding" and (value is None or isinstance(value, int)):
        return replace(setup, padding=replace(setup.padding, id=value))
    if name == "padding side" and value in ("right", "left"):
        return replace(setup, padding=replace(setup.padding, side=value))
    if name == "source order":
        return replace(setup, reverse=bool(value))
    if name == "start and end" and isinstance(value, Ends):
        return replace(setup, ends=value)
    raise TypeError(f"expected an item of a set-up and its value, got {name!r} and {value!r}")


def _ask(state: _Settling, given: frozenset[str]) -> None:
    """Refuse a set-up on which signs disagree, and say what settles it."""
    asked = [warning for warning in state.warnings if warning.startswith("the signs disagree")]
    if asked:
        named = {name for name in ITEM_OPTIONS if f"the {name}:" in " ".join(asked)}
        fixes = [option(ITEM_OPTIONS[name], _placeholder(name)) for name in ITEM_OPTIONS if name in named]
        wanted = [*fixes, option("expect", "FILE")]
        raise ExportError(f"{'; '.join(asked)}: settle it with {', or '.join(wanted)} (outputs of your own loop)")


def _placeholder(name: str) -> str:
    return {"padding": "zeros (or ' ')", "padding side": "right (or left)"}.get(name, "SYMBOL")


@dataclass(frozen=True)
class _Proved:
    """What expected outputs proved, and the other values, by item, that they don't rule out."""

    trial: Trial
    untold: Mapping[str, Sequence[str]]
    count: int


def _settled(state: _Settling, facts: Understanding, rows: ChosenRows | None, proved: _Proved | None = None) -> Settled:
    items = [] if rows is None or rows.item is None else [rows.item]
    if proved is not None and rows is not None and rows.item is not None and rows.same_symbols and not rows.given:
        # Every such row count makes the same bundle: what follows from the rows is proved, or isn't, item by item.
        items, state.signs["start and end"] = [], (*rows.item.signs, *state.signs.get("start and end", ()))
    for name, value in state.setup.described().items():
        origin, others = state.origins.get(name, "assumed"), () if proved is None else proved.untold.get(name, ())
        if proved is not None and not others and not _open(name, proved.trial):
            origin = "proved"
        # What has no option of its own, expected outputs settle: some, or more of them.
        settles = option(ITEM_OPTIONS[name]) if name in ITEM_OPTIONS else option("expect") if proved is None else ""
        if name == "start and end" and state.setup.ends.start_id is None:
            settles = option("end")
        items.append(SetUpItem(name, value, origin, settles, state.signs.get(name, ()), tuple(others)))
    changed = state.setup.in_facts(facts)
    warnings = () if proved is not None else [f"warning: {warning}" for warning in state.warnings]
    changed = replace(changed, notes=(*_renewed(facts, changed, state.origins), *warnings))
    return Settled(changed, Provenance(tuple(items), 0 if proved is None else proved.count))


def _open(name: str, trial: Trial) -> bool:
    """Return whether expected outputs leave an item open: a greatest length that none of them met."""
    return name == "longest output" and not trial.cut


def _renewed(before: Understanding, after: Understanding, origins: Mapping[str, Origin]) -> list[str]:
    """Return the notes, with those on padding written again for the padding that was settled."""
    stale = set()
    if origins.get("padding") != "assumed" or after.padding.id != before.padding.id:
        stale.add(assumed_note(before.padding.id))
    if after.target.max_length is not None:
        stale.add(unknown_length_note())
    old, new = padding_note(before.padding), padding_note(after.padding)
    return [new if note == old else note for note in before.notes if note not in stale]

"""Proof by expected outputs: the set-up under which a bundle gives every one of them, or the nearest ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

from s2s_export.errors import ExportError
from s2s_export.evidence.expected_outputs import Proof, Trial
from s2s_export.evidence.setups import Choices, Ends, SetUp
from s2s_export.evidence.training_pairs import CHARACTER_ENDS, WORD_ENDS
from s2s_export.understand.bundle_terms import Understanding
from s2s_runtime.spelling import option
from s2s_runtime.vocabulary.padding import Side
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary

_FIRST: Final = 3  # outputs that every set-up is tried with; those that give these are tried with all
_NEAREST: Final = 5
_NEAR: Final = 2  # steps by which other lengths are tried once a set-up is proved
_LONGER: Final = 32  # steps beyond the longest expected source up to which lengths are tried
ITEM_OPTIONS: Final = {
    "padding": "padding",
    "padding side": "padding_side",
    "source length": "source_length",
    "start and end": "start",
    "longest output": "max_length",
}


def prove(
    proof: Proof, base: SetUp, facts: Understanding, given: frozenset[str], told: frozenset[str] = frozenset()
) -> tuple[Trial, dict[str, list[str]]]:
    """Find the set-up that gives every expected output, the likeliest first.

    Args:
        proof: decodes and compares.
        base: the likeliest set-up.
        facts: how the model was understood.
        given: names of items that the caller gave.
        told: names of items that other evidence tells: what is assumed is changed before they are.

    Returns:
        the trial that gives all; and, by item, other values that give all of them too: what the outputs don't tell.

    Raises:
        ExportError: none does, with the nearest ones; or only one does that contradicts what was given.
    """
    kept = choices_of(base, facts, given | told)
    trials: list[Trial] = []
    trial = _first_proved(proof, chain(kept.setups(base), *_stages(base, facts, proof, given)), trials)
    if trial is not None:
        _refuse_longest(trial, base, given)
        return trial, _untold(proof, trial.setup, facts, given)
    contradicted = _contradicted(proof, base, facts, given)
    raise ExportError(contradicted or _nearest(proof, trials))


def _first_proved(proof: Proof, setups: Iterator[SetUp], trials: list[Trial]) -> Trial | None:
    """Return the first that gives all; `trials` is told each that was tried, once, as wider choices repeat narrower."""
    seen: list[SetUp] = []
    for setup in setups:
        if setup in seen:
            continue
        seen.append(setup)
        trial = proof.tried(setup, _FIRST)
        trials.append(trial)
        if not trial.difference:
            trial = proof.tried(setup)
            trials[-1] = trial
            if not trial.difference:
                return trial
    return None


def _stages(base: SetUp, facts: Understanding, proof: Proof, given: frozenset[str]) -> list[Iterator[SetUp]]:
    """Return the set-ups in the order in which they are tried: padding, side and order; then ends; then lengths."""
    choices = choices_of(base, facts, given)
    wider = replace(choices, ends=_ends(base, facts, given), padding=choices.padding[:2])
    stages = [choices.setups(base), wider.setups(base)]
    if base.padding.length is not None and "source length" not in given and _free(facts):
        source = base.source
        shortest = max(len(source.split(output.source)) if source else 1 for output in proof.expected)
        lengths = tuple(length for length in range(shortest, shortest + _LONGER) if length != base.padding.length)
        stages.append(replace(choices, length=lengths, reverse=(base.reverse,)).setups(base))
    return stages


def choices_of(base: SetUp, facts: Understanding, given: frozenset[str]) -> Choices:
    """Return what padding, side and order may be, the base's own values first; what is given stays."""
    only = Choices.only(base)
    orders = (base.reverse,) if "source order" in given else (base.reverse, not base.reverse)
    if base.source is None or base.padding.masked:
        return replace(only, reverse=only.reverse if base.source is None else orders)
    sides: tuple[Side, Side] = ("right", "left")
    return replace(
        only,
        padding=only.padding if "padding" in given else fillers(base, facts),
        side=only.side if "padding side" in given else tuple(sorted(sides, key=lambda side: side != base.padding.side)),
        reverse=orders,
    )


def fillers(base: SetUp, facts: Understanding) -> tuple[int | None, ...]:
    """Return what may fill short sources, the base's own first: zeros, a space, the padding symbol, the first id."""
    tokens = [base.padding.id]
    if facts.source.kind == "one-hot":
        tokens.append(-1)
    if base.source is not None:
        tokens += [
            base.source.symbols.index(symbol) for symbol in (" ", "<pad>", "[PAD]") if symbol in base.source.symbols
        ]
        tokens.append(base.source.padding_id)
    if facts.source.kind == "ids":
        tokens.append(0)
    return tuple(dict.fromkeys(token for token in tokens if token is not None))


def _ends(base: SetUp, facts: Understanding, given: frozenset[str]) -> tuple[Ends, ...]:
    """Return other start and end tokens: symbols that people wrap targets in, and the first ids."""
    vocabulary = base.ends.vocabulary
    if "start and end" in given or vocabulary is None:
        return (base.ends,)
    known = [
        _named(vocabulary, start, end)
        for start, end in (*CHARACTER_ENDS, *WORD_ENDS)
        if start in vocabulary.symbols and end in vocabulary.symbols
    ]
    last = base.ends.end_ids or ((vocabulary.end_id,) if vocabulary.end_id is not None else ())
    numbered = [Ends(start, last, vocabulary) for start in (1, 0) if start < facts.target.size]
    return tuple({str(ends): ends for ends in (*known, *numbered) if str(ends) != str(base.ends)}.values())


def _named(vocabulary: Vocabulary, start: str, end: str) -> Ends:
    named = replace(vocabulary, start=start, end=end)
    return Ends(vocabulary.symbols.index(start), (vocabulary.symbols.index(end),), named)


def _untold(proof: Proof, setup: SetUp, facts: Understanding, given: frozenset[str]) -> dict[str, list[str]]:
    """Return the values of items, by name, of other set-ups that give all expected outputs too."""
    choices, told = choices_of(setup, facts, given), setup.described()
    length, source = setup.padding.length, setup.source
    if length is not None and source is not None and "source length" not in given and _free(facts):
        shortest = max(len(source.split(output.source)) for output in proof.expected)
        near = (length, *(other for other in range(length - _NEAR, length + _NEAR + 1) if other >= shortest))
        choices = replace(choices, length=tuple(dict.fromkeys(near)))
    others: dict[str, list[str]] = {}
    ended = replace(Choices.only(setup), ends=_ends(setup, facts, given))
    for other in chain(choices.setups(setup), ended.setups(setup)):
        same = other == setup or proof.tried(other, _FIRST).difference or proof.tried(other).difference
        for name, value in () if same else other.described().items():
            if told.get(name) != value and value not in others.setdefault(name, []):
                others[name].append(value)
    return {name: values for name, values in others.items() if values}


def _free(facts: Understanding) -> bool:
    """Return whether the model reads sources of any length."""
    return facts.source.inputs[0].shape[1] is None


def _refuse_longest(trial: Trial, base: SetUp, given: frozenset[str]) -> None:
    if "longest output" not in given or base.max_length is None:
        return
    if trial.cut and trial.setup.max_length != base.max_length:
        raise ExportError(
            f"{option('max_length', str(base.max_length))}: contradicted by the expected outputs, {trial.cut} of which "
            f"were cut after {trial.setup.max_length} tokens; give {option('max_length', str(trial.setup.max_length))}"
        )
    if trial.longest > base.max_length:
        raise ExportError(
            f"{option('max_length', str(base.max_length))}: contradicted by the expected outputs, the longest of which "
            f"has {trial.longest} tokens, its end counted"
        )


def _contradicted(proof: Proof, base: SetUp, facts: Understanding, given: frozenset[str]) -> str:
    """Return the message where other values than those given give every output; "" where none do."""
    for name in sorted(given & ITEM_OPTIONS.keys()):
        trials: list[Trial] = []
        for stage in _stages(base, facts, proof, given - {name}):
            trial = _first_proved(proof, stage, trials)
            if trial is not None:
                equal, total = proof.tried(base).equal, len(proof.expected)
                was, is_now = base.described()[name], trial.setup.described()[name]
                return (
                    f"{option(ITEM_OPTIONS[name])}: contradicted by the expected outputs: with {was} {equal} of "
                    f"{total} come out, with {is_now} all of them; leave it out, or give what they were made with"
                )
    return ""


def _nearest(proof: Proof, trials: Sequence[Trial]) -> str:
    """Return the table of the set-ups that come nearest."""
    tried = sorted(trials, key=lambda trial: -trial.equal)[:_NEAREST]
    nearest = sorted((proof.tried(trial.setup) for trial in tried), key=lambda trial: -trial.equal)
    lines = [f"{option('expect')}: none of {len(trials)} set-ups gives all {len(proof.expected)} outputs; the nearest:"]
    for trial in nearest:
        shown = ", ".join(f"{name} {value}" for name, value in trial.setup.described().items())
        lines.append(f"  {trial.equal} of {len(proof.expected)}: {shown}")
        lines.append(f"    {trial.difference}")
    lines.append(
        "  were these outputs made with this very model? else give the items that are known, each by its option"
    )
    return "\n".join(lines)

"""Signs of how a model was fed, each measured by itself, and what they say together.

What follows the end of a target in training is learned early and shows beyond doubt what filled it, and people fill
both sides alike. Which way the source was read, and on which side it was filled, shows in how much a target owes to its
own source, and in plain likelihood once a model has learned much of its source; but from the first epochs on in what
the optimizer remembers, which goes before both. None of these proves a length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from s2s_export.evidence.setups import SetUp, filler_name
from s2s_export.evidence.teacher_forcing import Scored, Teacher, paired
from s2s_export.evidence.training_memory import Leaning, Predicted, TrainingMemory
from s2s_runtime.bundle.provenance import Sign
from s2s_runtime.vocabulary.padding import Side

_EXPECTED: Final = 0.22  # mean probability of what follows the end, above which it is what filled targets: down to 0.24
_UNEXPECTED: Final = 0.15  # and below which nothing did: where rows of zeros filled them, it came up to 0.09
_END_CHANCES: Final = 5  # so many times as probable as any symbol has to be the end where a target ended
_CONTRAST_Z: Final = 4.0
_OWED: Final = (
    0.05  # nats a pair: a model that owed its sources 0.014 gave the wrong order and side with z = 4.8 and 4.3
)
_WINS_Z: Final = 4.0  # wrong sides won with up to 2.7
_LIKELIHOOD_Z: Final = 4.0
_LEARNED: Final = 8.0  # nats a pair; models that owe their sources less gave up to z = 34 for a wrong side
_HALF: Final = 0.5
_WAY: Final = 0.65  # of the way from one prediction to the other's, within symbols; wrong set-ups came to 0.54
_WAY_WHOLE: Final = 0.55  # and over all weights; these alone lean the wrong way once in twenty, in first epochs


@dataclass(frozen=True)
class Verdict:
    """What the signs say about one item.

    Attributes:
        signs: all that were measured.
        values: the different values that they speak for; none where all are too weak, several where they disagree.
        doubt: signs against the value that don't count against it, in words; "" where there are none.
    """

    signs: tuple[Sign, ...]
    values: tuple[object, ...]
    doubt: str = ""

    @property
    def value(self) -> object:
        """The value on which the signs agree; None where they say nothing, or disagree."""
        return self.values[0] if len(self.values) == 1 else None

    @property
    def disagree(self) -> bool:
        """Whether two signs speak for different values."""
        return len(self.values) > 1

    @property
    def figures(self) -> str:
        """The signs that say something, in words for a message."""
        return "; ".join(str(sign) for sign in self.signs if sign.says)


@dataclass
class Signs:
    """Measures signs on the pairs that a model was trained on.

    Args:
        teacher: scores pairs.
        memory: what the optimizer remembers, where the model brings that along.
        base: the set-up as it was understood, whose source length is taken as known.
        trained: pairs that the last batches surely came from.
    """

    teacher: Teacher
    memory: TrainingMemory | None
    base: SetUp
    trained: Sequence[tuple[str, str]]
    _scored: dict[tuple[object, ...], Scored] = field(default_factory=dict, init=False)
    _predicted: dict[tuple[object, ...], Predicted] = field(default_factory=dict, init=False)

    def scored(self, setup: SetUp) -> Scored:
        """Return the scores of a set-up, each computed once."""
        if _key(setup) not in self._scored:
            self._scored[_key(setup)] = self.teacher.score(setup)
        return self._scored[_key(setup)]

    def ends(self, setups: Sequence[SetUp]) -> Verdict:
        """Return which start and end symbols the model expects; of several that fit its size, the likeliest."""
        few = self.teacher.small()
        ranked = sorted(((few.score(setup), setup) for setup in setups), key=lambda item: -item[0].own.mean())
        (best, setup), *others = ranked
        expected, chance = float(best.ends.mean()), 1 / len(best.after)
        figure = f"{expected:.2f} (chance {chance:.2f})"
        told = expected > _END_CHANCES * chance
        if others:
            z = paired(best.own, others[0][0].own)
            figure += f", likelihood over {others[0][1].ends} z = {z:.1f}"
            told |= z >= _LIKELIHOOD_Z
        says = str(setup.ends) if told else ""
        sign = Sign(f"probability of the end after the target, {len(best.own)} pairs", figure, says)
        return Verdict((sign,), (setup.ends,) if told else ())

    @cached_property
    def target_filler(self) -> int | None:
        """The target id that the model expects after the end symbol; None where it expects none in particular."""
        after = self.scored(self.base).after
        return int(after.argmax()) if after.max() >= _EXPECTED else None

    def source_filler(self, candidates: Sequence[int | None]) -> tuple[int | None, Sign]:
        """Return which of the candidates filled targets, None where that can't be told, and the sign."""
        after, target, source = self.scored(self.base).after, self.base.ends.vocabulary, self.base.source
        if target is None or source is None:
            raise ValueError("expected both vocabularies")
        top = int(after.argmax())
        symbol, filler = target.symbols[top], None
        if after[top] >= _EXPECTED and symbol in source.symbols and source.symbols.index(symbol) in candidates:
            filler = source.symbols.index(symbol)
        elif after[top] < _UNEXPECTED and -1 in candidates:
            filler = -1
        says = "" if filler is None else filler_name(filler, source)
        shown = f"{after[top]:.2f}, of {symbol!r}"
        return filler, Sign("largest probability after the end of the target, where its padding stood", shown, says)

    def padding(self, base: SetUp, candidates: Sequence[int | None]) -> Verdict:
        """Return what fills short sources: what fills short targets, unless the sources' likelihood says otherwise."""
        filler, sign = self.source_filler(candidates)
        others = [token for token in candidates if token != filler]
        if filler is None or not others:
            return Verdict((sign,), () if filler is None else (filler,))
        both = (filler, others[0])
        names = [filler_name(token, base.source) for token in both]
        likelihood, better = self._likelihood([_with_padding(base, token) for token in both], names)
        values = [filler, *([] if better is None else [both[better]])]
        return Verdict((sign, likelihood), tuple(dict.fromkeys(values)))

    def order(self, base: SetUp) -> Verdict:
        """Return whether sources were read backwards: targets owe more to sources that are read as in training."""
        names = {False: "as written", True: "reversed"}
        setups = [replace(base, reverse=reverse) for reverse in names]
        best = [max(map(self.scored, _sides(setup)), key=lambda scored: scored.contrast.mean()) for setup in setups]
        z = paired(best[False].contrast, best[True].contrast)
        figure = (
            f"{best[False].contrast.mean():.3f} as written, {best[True].contrast.mean():.3f} reversed, z = {abs(z):.1f}"
        )
        owed, little = _owed(best)
        says = names[z < 0] if owed and abs(z) >= _CONTRAST_Z else ""
        sign = Sign("nats that a target gains by its own source rather than another", figure + little, says)
        return self._with_memory([sign], [self._nearer(*_sides(setup)) for setup in setups], names)

    def side(self, base: SetUp) -> Verdict:
        """Return on which side short sources were filled."""
        sides: tuple[Side, Side] = ("right", "left")
        setups = _sides(base)
        scores = [self.scored(setup) for setup in setups]
        z = paired(scores[0].wins, scores[1].wins)
        shares = [f"{score.wins.mean():.3f} {side}" for score, side in zip(scores, sides, strict=True)]
        owed, little = _owed(scores)
        says = sides[z < 0] if owed and abs(z) >= _WINS_Z else ""
        figure = f"{', '.join(shares)}, z = {abs(z):.1f}{little}"
        signs = [Sign("share of other sources that a target's own beats", figure, says)]
        signs.append(self._likelihood(setups, list(sides))[0])
        return self._with_memory(signs, setups, {side: side for side in sides})

    def _with_memory(self, signs: Sequence[Sign], setups: Sequence[SetUp], names: Mapping[Any, str]) -> Verdict:
        """Return what signs say of two set-ups, and before them what the optimizer remembers.

        It tells from the first epochs on, where likelihood was wrong with z = 34: where it does, signs against it are
        doubts; where it leans to one of the two, but too little to tell, signs for the other tell nothing either.

        Args:
            signs: what else was measured.
            setups: the two.
            names: the values by which they differ, in words.
        """
        values = {name: value for value, name in names.items()}
        said = tuple(dict.fromkeys(sign.says for sign in signs if sign.says))
        leaning = self._leaning(*setups)
        if leaning is None:
            return Verdict(tuple(signs), tuple(values[name] for name in said))
        remembered, leans = _remembered(leaning, list(names.values()))
        if remembered.says:
            against = "; ".join(str(sign) for sign in signs if sign.says not in ("", remembered.says))
            return Verdict((remembered, *signs), (values[remembered.says],), against)
        return Verdict((*signs, remembered), tuple(values[name] for name in said if leans in ("", name)))

    def _leaning(self, one: SetUp, other: SetUp) -> Leaning | None:
        memory = self.memory
        return None if memory is None else memory.leaning(*(self._prediction(memory, each) for each in (one, other)))

    def _prediction(self, memory: TrainingMemory, setup: SetUp) -> Predicted:
        if _key(setup) not in self._predicted:
            self._predicted[_key(setup)] = memory.predicted(setup, self.trained, self.target_filler)
        return self._predicted[_key(setup)]

    def _nearer(self, one: SetUp, other: SetUp) -> SetUp:
        """Return the set-up to which what is remembered lies nearer."""
        leaning = self._leaning(one, other)
        return one if leaning is None or leaning.pattern <= _HALF else other

    def _likelihood(self, setups: Sequence[SetUp], names: Sequence[str]) -> tuple[Sign, int | None]:
        """Compare two set-ups by how likely they make the pairs.

        Returns:
            The sign, and the index of the likelier set-up; None where the model has not learned enough of its source,
            or the two are too near, to tell.
        """
        scores = [self.scored(setup) for setup in setups]
        z = paired(scores[0].own, scores[1].own)
        learned = max(float(score.contrast.mean()) for score in scores)
        figure = f"z = {abs(z):.1f} for {names[z < 0]}"
        if learned < _LEARNED:
            figure += f", but sources matter too little yet ({learned:.1f} nats a pair)"
        better = int(z < 0) if learned >= _LEARNED and abs(z) >= _LIKELIHOOD_Z else None
        return Sign(
            f"likelihood of {len(scores[0].own)} pairs", figure, "" if better is None else names[better]
        ), better


def _owed(scores: Sequence[Scored]) -> tuple[bool, str]:
    """Whether targets owe their sources enough for a comparison to tell, and what to say where they don't."""
    most = max(float(score.contrast.mean()) for score in scores)
    return most >= _OWED, "" if most >= _OWED else f", but sources matter too little yet ({most:.3f} nats a pair)"


def _with_padding(setup: SetUp, token: int | None) -> SetUp:
    return replace(setup, padding=replace(setup.padding, id=token))


def _sides(setup: SetUp) -> tuple[SetUp, SetUp]:
    right, left = (replace(setup, padding=replace(setup.padding, side=side)) for side in ("right", "left"))
    return right, left


def _key(setup: SetUp) -> tuple[object, ...]:
    padding = setup.padding
    return padding.id, padding.side, padding.length, setup.reverse, str(setup.ends)


def _remembered(leaning: Leaning, names: Sequence[str]) -> tuple[Sign, str]:
    """Return the sign that the optimizer's memory gives of two values, and the one to which all of it leans."""
    figures = (leaning.whole, leaning.pattern)
    leans = names[0] if max(figures) < _HALF else names[1] if min(figures) > _HALF else ""
    whole, pattern = (figure if leans == names[1] else 1 - figure for figure in figures)
    says = leans if leans and whole >= _WAY_WHOLE and pattern >= _WAY else ""
    shown = f"{leaning.whole:.2f}, {leaning.pattern:.2f} within symbols; 0 = {names[0]}, 1 = {names[1]}"
    return Sign("the last gradients, which the optimizer remembers, between those expected", shown, says), leans

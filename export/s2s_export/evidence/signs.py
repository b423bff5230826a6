"""Signs of how a model was fed, each measured by itself, and what they say together.

What follows the end of a target in training is learned early and shows beyond doubt what filled it, and people fill
both sides alike. Which way the source was read, and on which side it was filled, shows in how much a target owes to its
own source, in what the optimizer remembers, and, once a model has learned much of its source, in plain likelihood. None
of these proves a length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import numpy as np

from s2s_export.evidence.setups import SetUp, filler_name
from s2s_export.evidence.teacher_forcing import Scored, Teacher, paired
from s2s_export.evidence.training_memory import TrainingMemory
from s2s_runtime.bundle.provenance import Sign
from s2s_runtime.vocabulary.padding import Side

_EXPECTED: Final = 0.4  # mean probability of what follows the end, above which it is what filled targets
_UNEXPECTED: Final = 0.25  # and below which nothing did
_END_CHANCES: Final = 5  # so many times as probable as any symbol has to be the end where a target ended
_CONTRAST_Z: Final = 4.0
_OWED: Final = (
    0.05  # nats a pair: a model that owed its sources 0.014 gave the wrong order and side with z = 4.8 and 4.3
)
_WINS_Z: Final = 4.0  # wrong sides won with up to 2.7
_LIKELIHOOD_Z: Final = 4.0
_LEARNED: Final = 8.0  # nats a pair; models that owe their sources less gave up to z = 34 for a wrong side
_SPREAD_RATIO: Final = 1.3  # alone: a wrong side came with 1.24, by the few batches that weigh most
_SPREAD_RATIO_WITH_WINS: Final = 1.05  # where the share of sources beaten points the same way
_POINTING_Z: Final = 1.5


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

    def scored(self, setup: SetUp) -> Scored:
        """Return the scores of a set-up, each computed once."""
        padding = setup.padding
        key = (padding.id, padding.side, padding.length, setup.reverse, str(setup.ends))
        if key not in self._scored:
            self._scored[key] = self.teacher.score(setup)
        return self._scored[key]

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
        best = {reverse: self._best_side(replace(base, reverse=reverse)) for reverse in (False, True)}
        z = paired(best[False].contrast, best[True].contrast)
        figure = (
            f"{best[False].contrast.mean():.3f} as written, {best[True].contrast.mean():.3f} reversed, z = {abs(z):.1f}"
        )
        owed, little = _owed(list(best.values()))
        says = names[z < 0] if owed and abs(z) >= _CONTRAST_Z else ""
        sign = Sign("nats that a target gains by its own source rather than another", figure + little, says)
        return Verdict((sign,), (z < 0,) if says else ())

    def _best_side(self, setup: SetUp) -> Scored:
        both = [self.scored(_on(setup, side)) for side in ("right", "left")]
        return max(both, key=lambda scored: float(scored.contrast.mean()))

    def side(self, base: SetUp) -> Verdict:
        """Return on which side short sources were filled."""
        sides: tuple[Side, Side] = ("right", "left")
        setups = [_on(base, side) for side in sides]
        scores = [self.scored(setup) for setup in setups]
        z = paired(scores[0].wins, scores[1].wins)
        shares = [f"{score.wins.mean():.3f} {side}" for score, side in zip(scores, sides, strict=True)]
        owed, little = _owed(scores)
        says = sides[z < 0] if owed and abs(z) >= _WINS_Z else ""
        figure = f"{', '.join(shares)}, z = {abs(z):.1f}{little}"
        signs = [Sign("share of other sources that a target's own beats", figure, says)]
        signs.append(self._likelihood(setups, list(sides))[0])
        said = tuple(dict.fromkeys(sign.says for sign in signs if sign.says))
        spreads = [None if self.memory is None else self._spread(self.memory, setup) for setup in setups]
        remembered = _remembered(spreads, sides, sides[z < 0] if abs(z) >= _POINTING_Z else None)
        if remembered is None or not remembered.says:
            return Verdict((*signs, *([] if remembered is None else [remembered])), said)
        # It speaks from the first epochs on, where likelihood was wrong with z = 34, and after twelve still with 12.
        against = "; ".join(str(sign) for sign in signs if sign.says not in ("", remembered.says))
        return Verdict((remembered, *signs), (remembered.says,), against)

    def _spread(self, memory: TrainingMemory, setup: SetUp) -> float | None:
        return memory.spread(setup, self.trained, self.target_filler)

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


def _on(setup: SetUp, side: Side) -> SetUp:
    return replace(setup, padding=replace(setup.padding, side=side))


def _remembered(spreads: Sequence[float | None], sides: Sequence[Side], pointed: Side | None) -> Sign | None:
    """Return the sign that the optimizer's memory gives of the sides; None where it gives none."""
    known = [spread for spread in spreads if spread is not None]
    if len(known) < 2:
        return None
    ratio = max(known) / max(min(known), 1e-9)
    better = sides[int(np.argmin(known))]
    says = better if ratio >= (_SPREAD_RATIO_WITH_WINS if better == pointed else _SPREAD_RATIO) else ""
    figure = ", ".join(f"{spread:.2f} {side}" for spread, side in zip(known, sides, strict=True))
    return Sign("spread of the last gradients that the optimizer remembers, over those expected", figure, says)

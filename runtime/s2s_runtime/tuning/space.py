"""What is tried: the values of each option, and their combinations."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal, get_args, get_origin

import numpy as np

from s2s_runtime.declared_options import declared
from s2s_runtime.declared_options.checks import value_problem
from s2s_runtime.errors import OptionError
from s2s_runtime.options import DecodingOptions
from s2s_runtime.options.terms import JSON, LANGUAGE, LISTS, SAMPLING, SEARCH, TOKENS
from s2s_runtime.spelling import did_you_mean
from s2s_runtime.tuning.terms import Search

WEIGHT: Final = "ensemble_weight"
"""The weight of the only other model of an ensemble; `ensemble_weight.2` is that of the second."""

MOST: Final = 10_000  # combinations of a grid
_LARGEST: Final = 30  # zeros of a number: more would be written out, digit for digit
_TRIES: Final = 50  # draws for each combination that is wanted, as some are there already or make no sense

TUNABLE: Final = tuple(
    name
    for name, declaration in declared(DecodingOptions).items()
    if declaration.option.panel in (SEARCH, TOKENS, SAMPLING, LANGUAGE)
    and declaration.option.typed is ...
    and declaration.option.group not in (JSON, LISTS)
)
"""Names of the decoding options of which values can be tried."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An option, and what is tried of it.

    Attributes:
        name: of the option, or `ensemble_weight`, with the number of the model where there are several others.
        values: the values, in the order in which they were given; of a range that is drawn from, none.
        bounds: the lowest and the highest value of a range that is drawn from; None = there is no such range.
        whole: whether that range is one of whole numbers.
    """

    name: str
    values: tuple[Any, ...]
    bounds: tuple[float, float] | None = None
    whole: bool = False

    def draw(self, random: np.random.Generator) -> Any:
        """Return one of the values, each as likely as another; of a range with 4 digits behind the point."""
        if self.bounds is None:
            return self.values[int(random.integers(len(self.values)))]
        low, high = self.bounds
        return (
            int(random.integers(int(low), int(high) + 1)) if self.whole else round(float(random.uniform(low, high)), 4)
        )


def read_axis(text: str, others: int) -> Axis:
    """Return what `NAME=VALUES` asks for: values with commas between them, FROM:TO:STEP, or FROM:TO to draw from.

    Args:
        text: as it was typed; the name with dashes or without.
        others: how many models an ensemble has beside the first.

    Raises:
        OptionError: says what was expected.
    """
    name, equals, given = text.partition("=")
    name = name.strip().lstrip("-").replace("-", "_")
    if not equals or not given.strip():
        raise OptionError(f"expected NAME=VALUES such as beam_size=1,4,8 or length_penalty=0:1:0.25, got {text!r}")
    if name.startswith(WEIGHT):
        return _weight_axis(name, given, others)
    if name not in TUNABLE:
        hint = did_you_mean(name, TUNABLE)
        raise OptionError(f"{name}: no option of which values can be tried{hint}; expected one of {', '.join(TUNABLE)}")
    declaration = declared(DecodingOptions)[name]
    types = [*declaration.types, type(None)] if declaration.optional else declaration.types
    axis = _axis(name, given, types)
    for value in [*axis.values, *(axis.bounds or ())]:
        checked = int(value) if axis.whole else value
        if problem := value_problem(declaration, checked):
            raise OptionError(problem)
    return axis


def _weight_axis(name: str, given: str, others: int) -> Axis:
    names = [f"{WEIGHT}.{i + 1}" for i in range(others)]
    if name not in names and not (name == WEIGHT and others == 1):
        spelled = [WEIGHT] if others == 1 else names
        wanted = f"expected {' or '.join(spelled)}" if others else "needs --ensemble-with"
        raise OptionError(f"{name}: {wanted}")
    axis = _axis(WEIGHT if others == 1 else name, given, (float,))
    for value in [*axis.values, *(axis.bounds or ())]:
        if not value > 0:
            raise OptionError(f"{name}: expected numbers above 0, got {value:g}")
    return axis


def _axis(name: str, given: str, types: Sequence[Any]) -> Axis:
    if ":" in given and (int in types or float in types):
        whole = float not in types
        bounds = [_number(name, part) for part in given.split(":")]
        if len(bounds) not in (2, 3) or bounds[1] < bounds[0] or (len(bounds) == 3 and bounds[2] <= 0):
            raise OptionError(f"{name}: expected FROM:TO:STEP or FROM:TO, the step above 0, got {given!r}")
        if whole and any(bound != int(bound) for bound in bounds):
            raise OptionError(f"{name}: expected whole numbers, got {given!r}")
        if len(bounds) == 2:
            return Axis(name, (), (float(bounds[0]), float(bounds[1])), whole)
        count = int((bounds[1] - bounds[0]) / bounds[2]) + 1
        if count > MOST:
            raise OptionError(f"{name}: expected at most {MOST:,} values, got {count:,}; give a larger step")
        numbers = [bounds[0] + bounds[2] * i for i in range(count)]
        return Axis(name, tuple(int(number) if whole else float(number) for number in numbers))
    values = [_value(name, part.strip(), types) for part in given.split(",")]
    return Axis(name, tuple(dict.fromkeys(values)))


def _number(name: str, text: str) -> Decimal:
    """Return a number as it is spelled, so that steps of 0.1 add up."""
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite() or abs(number.adjusted()) > _LARGEST:
        raise OptionError(f"{name}: expected a number, got {text!r}")
    return number


def _value(name: str, text: str, types: Sequence[Any]) -> Any:
    """Return one value, as the first of the types that takes it; the option's own check tells of bad ones."""
    if text.lower() == "none" and type(None) in types:
        return None
    if bool in types:
        return {"true": True, "false": False}.get(text.lower(), text)
    for literal in types:
        if get_origin(literal) is Literal and text in get_args(literal):
            return text
    if int not in types and float not in types:
        return text
    number = _number(name, text)
    return int(number) if int in types and number == int(number) else float(number)


def combinations(axes: Sequence[Axis], search: Search, trials: int | None, seed: int) -> Iterator[dict[str, Any]]:
    """Yield values of all options by their names: each combination in order, or drawn ones, none of them twice.

    Raises:
        OptionError: a grid has too many, or a range has no step.
    """
    if search == "grid":
        for axis in axes:
            if axis.bounds is not None:
                raise OptionError(f"{axis.name}: a grid needs FROM:TO:STEP; give a step, or --search random")
        count = math.prod(len(axis.values) for axis in axes)
        if count > MOST:
            raise OptionError(
                f"expected at most {MOST:,} combinations, got {count:,}; give fewer values, or --search random"
            )
        names = [axis.name for axis in axes]
        for values in itertools.product(*(axis.values for axis in axes)):
            yield dict(zip(names, values, strict=True))
        return
    random, seen = np.random.default_rng(seed), set[tuple[Any, ...]]()
    for _ in range(_TRIES * (trials or 1)):
        drawn = {axis.name: axis.draw(random) for axis in axes}
        if tuple(drawn.values()) not in seen:
            seen.add(tuple(drawn.values()))
            yield drawn


def sensible(
    found: Iterator[dict[str, Any]], fixed: Mapping[str, Any], trials: int | None
) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Return the combinations that decoding takes, at most so many, and why others were left out, with how often.

    Args:
        found: combinations.
        fixed: options that are the same in all.
        trials: most of them; None = all.
    """
    kept: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    for values in found:
        if trials is not None and len(kept) == trials:
            break
        try:
            DecodingOptions(**{**fixed, **decoding_values(values)})
        except OptionError as error:
            left_out[str(error)] += 1
        else:
            kept.append(values)
    return kept, left_out


def decoding_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of some values that are decoding options; where hypotheses are rescored, the whole beam is."""
    own = {name: value for name, value in values.items() if not name.startswith(WEIGHT)}
    return {"num_hypotheses": own.get("beam_size", 1), **own} if own.get("rescore") else own


def ensemble_weights(values: Mapping[str, Any], given: Sequence[float], others: int) -> list[float] | None:
    """Return the weights of an ensemble's models; None where all are the same.

    Args:
        values: of a trial.
        given: weights that were typed for all of them; empty = the same.
        others: how many models there are beside the first.
    """
    weights = list(given) or [1.0] * (others + 1)
    tried = {name: value for name, value in values.items() if name.startswith(WEIGHT)}
    for name, value in tried.items():
        weights[int(name.removeprefix(WEIGHT).removeprefix(".") or "1")] = value
    return weights if tried or given else None

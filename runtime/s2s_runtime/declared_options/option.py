"""The metadata of an option beside its name, type and default."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple


class Need(NamedTuple):
    """Something that an option has no effect, or no meaning, without.

    Args:
        words: what is needed, as a message names it.
        present: says whether the whole options have it.
        got: what they have instead, where that is worth a word.
    """

    words: str
    present: Callable[[Any], bool]
    got: Callable[[Any], str] | None = None


class Option(NamedTuple):
    """The metadata of an option: `name: Annotated[type, Option(...)] = default`.

    What it means stands below the field as a docstring, whose first sentence is the help of the command line.

    Args:
        at_least: the lowest number allowed.
        above: numbers have to be higher.
        at_most: the highest number allowed.
        below: numbers have to be lower.
        expected: what a message expects, where the type and the bounds don't tell it.
        allowed: says whether a value is allowed, instead of the type and the bounds. `None` is not asked about where
            the type has it.
        needs: what it has no effect without: names of options or properties of the same class, or a `Need`.
        verbs: what takes it beside the verb that takes all of them, such as "score".
        not_for: verbs of those that take all of them that take nothing but its default.
        engines: the engines that can do it; empty = all of them.
        obstacle: what keeps the other engines away, where several options are one thing; else its name.
        group: options of a group are asked for together by `group_names`.
        elsewhere: what it is called in other libraries, by their names.
        panel: the heading of `--help` that it stands under.
        flags: how it is spelled on the command line; by default `--` and its name.
        metavar: what stands for its value in `--help`.
        help: what `--help` says instead of the first sentence of the docstring.
        show_default: whether `--help` shows the default, where it isn't None, False or empty.
        typed: the type of what is typed, where that differs from the option's; None = it can't be typed.
        reads: the name of what turns the typed value into the option's; the command knows it.
        positional: whether it is an argument of the command, without a flag.
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    expected: str = ""
    allowed: Callable[[Any], bool] | None = None
    needs: Sequence[Need | str] = ()
    verbs: Sequence[str] = ()
    not_for: Sequence[str] = ()
    engines: frozenset[str] = frozenset()
    obstacle: str = ""
    group: str = ""
    elsewhere: Mapping[str, str] = MappingProxyType({})
    panel: str = ""
    flags: Sequence[str] = ()
    metavar: str | None = None
    help: str = ""
    show_default: bool = True
    typed: Any = ...
    reads: str = ""
    positional: bool = False

    def __repr__(self) -> str:
        values = zip(self._fields, self, self._field_defaults.values(), strict=True)
        return f"Option({', '.join(f'{name}={value!r}' for name, value, default in values if value != default)})"

    @property
    def range(self) -> str:
        """Words for the bounds that follow "a number", such as " of at least 1"; "" where there are none."""
        low = f"of at least {_spell(self.at_least)}" if self.at_least is not None else None
        low = f"above {_spell(self.above)}" if self.above is not None else low
        high = f"at most {_spell(self.at_most)}" if self.at_most is not None else None
        high = f"below {_spell(self.below)}" if self.below is not None else high
        if self.at_least is not None and self.at_most is not None:
            return f" from {_spell(self.at_least)} to {_spell(self.at_most)}"
        if low is None and self.at_most is not None:
            return f" of {high}"
        return "".join(f" {words}" for words in (low, "and" if low and high else None, high) if words)

    def in_range(self, number: float) -> bool:
        """Return whether a number is within the bounds."""
        return (
            (self.at_least is None or number >= self.at_least)
            and (self.above is None or number > self.above)
            and (self.at_most is None or number <= self.at_most)
            and (self.below is None or number < self.below)
        )


def _spell(bound: float) -> str:
    """Return a bound as a person writes it: whole numbers with all their digits."""
    return str(int(bound)) if bound == int(bound) else f"{bound:g}"

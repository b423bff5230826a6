"""Options that a dataclass declares: what is read from them, checked, suggested, shown and typed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from typer.testing import CliRunner

from s2s_runtime import DecodingOptions, OptionError
from s2s_runtime.commands.command_options import Given, takes
from s2s_runtime.console.app import command, make_app
from s2s_runtime.declared_options import (
    Need,
    Option,
    declared,
    declares_options,
    given_values,
    known_keywords,
    names_where,
    option_problems,
    taken_by,
)
from s2s_runtime.declared_options.docs import meaning
from s2s_runtime.errors import UnknownOptionError

RUNS = Need(words="runs above 1", present=lambda given: given.runs > 1)


@dataclass(frozen=True, kw_only=True)
class Basis:
    """What a bakery begins with."""

    flour: Annotated[Literal["rye", "wheat"], Option(panel="Dough", verbs=("knead",))] = "rye"
    """Which grain is milled. Dark or light."""


@declares_options
@dataclass(frozen=True, kw_only=True)
class Bakery(Basis):
    """How to bake."""

    runs: Annotated[int, Option(at_least=1, at_most=9, panel="Oven", flags=("--runs", "-r"))] = 1
    """Loaves, one after the other. As many as fit."""

    heat: Annotated[float | None, Option(above=0, below=300, elsewhere={"Baker": "oven_temperature"})] = None
    """Degrees. None = as the recipe says."""

    share: Annotated[float, Option(at_least=0, below=1)] = 0.0
    """Share of old dough."""

    rest: Annotated[float, Option(at_most=5, needs=[RUNS])] = 0.0
    """Hours between loaves."""

    seeds: Annotated[Sequence[str], Option(group="taste", metavar="SEED")] = ()
    """Seeds on top; may be repeated."""

    salted: Annotated[bool, Option(group="taste")] = False
    """Salt goes in."""

    names: Annotated[Mapping[str, str], Option(typed=None, needs=["salted"])] = field(default_factory=dict)
    """Names of loaves."""

    watch: Annotated[Callable[[int], None] | None, Option(typed=None)] = None
    """Called with each loaf."""

    book: Annotated[Path | None, Option()] = None
    """File of recipes."""

    kitchen: str = "home"

    def __post_init__(self) -> None:
        problems = option_problems(self)
        if problems:
            raise OptionError("; ".join(problems))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"flour": "oat"}, "flour: expected 'rye' or 'wheat', got 'oat'"),
        ({"flour": np.array(["rye", "rye"])}, "flour: expected 'rye' or 'wheat', got array("),
        ({"runs": 0}, "runs: expected an integer from 1 to 9, got 0"),
        ({"runs": True}, "runs: expected an integer from 1 to 9, got True"),
        ({"runs": None}, "runs: expected an integer from 1 to 9, got None"),
        ({"heat": 300}, "heat: expected a number above 0 and below 300, got 300"),
        ({"heat": float("inf")}, "heat: expected a number above 0 and below 300, got inf"),
        ({"share": 1}, "share: expected a number of at least 0 and below 1, got 1"),
        ({"rest": 6}, "rest: expected a number of at most 5, got 6"),
        ({"rest": 2}, "rest: has no effect without runs above 1; give that too or leave rest out"),
        ({"seeds": "poppy"}, "seeds: expected a list, got 'poppy'"),
        ({"salted": 1}, "salted: expected True or False, got 1"),
        ({"names": []}, "names: expected a mapping, got []"),
        ({"names": {"a": "b"}}, "names: has no effect without salted; give that too or leave names out"),
        ({"watch": 3}, "watch: expected a function, got 3"),
        ({"book": "x"}, "book: expected a Path, got 'x'"),
        ({"runs": 0, "share": 2}, "runs: expected an integer from 1 to 9, got 0; share: expected"),
        ({"loaves": 1}, "loaves: no such option of Bakery; help(Bakery) lists them"),
        ({"run": 1}, "run: no such option of Bakery; did you mean 'runs'?"),
        (
            {"oven_temperature": 1},
            "oven_temperature: no such option of Bakery; what Baker calls oven_temperature is",
        ),
    ],
)
def test_wrong_values_are_one_line(given: dict[str, Any], message: str) -> None:
    """From the declaration alone: the option, what was expected, what it got."""
    with pytest.raises(OptionError) as caught:
        Bakery(**given)
    assert str(caught.value).startswith(message)


def test_numbers_become_pythons_own():
    """Sums of a small type overflow, and round."""
    bakery = Bakery(runs=np.int8(3), heat=np.float16(20.5), share=0.25)
    assert bakery == Bakery(runs=3, heat=20.5, share=0.25)
    assert [type(value) for value in (bakery.runs, bakery.heat, bakery.share)] == [int, float, float]


@pytest.mark.parametrize(
    "given",
    [
        {"runs": np.int64(3)},
        {"heat": np.float32(20.5)},
        {"heat": 7},
        {"heat": None},
        {"seeds": ["poppy"]},
        {"seeds": np.array(["poppy"])},
        {"seeds": []},
        {"rest": 2, "runs": 2},
        {"names": {}},
        {"names": {"a": "b"}, "salted": True},
        {"watch": print},
        {"book": Path("x")},
        {"kitchen": 5},
    ],
)
def test_right_values_are_taken(given: dict[str, Any]) -> None:
    """Numpy's numbers and arrays too; a field without a declaration is nobody's business."""
    assert option_problems(Bakery(**given)) == []


def test_what_a_declaration_is_asked() -> None:
    """Options in the order of their fields, those of a base first; by metadata, by verb, by value."""
    assert [*declared(Bakery)][:3] == ["flour", "runs", "heat"]
    assert "kitchen" not in declared(Bakery)
    assert names_where(Bakery, group="taste") == ("seeds", "salted")
    assert taken_by(Bakery, "knead") == ("flour",)
    assert given_values(Bakery(runs=2, heat=None, seeds=[], share=0.0)) == {"runs": 2}


def test_documentation_is_the_docstring_below_the_field() -> None:
    """Of a base's fields too; `help` lists each option with its default and what it may be."""
    assert meaning(Bakery)["runs"] == "Loaves, one after the other. As many as fit."
    assert meaning(Bakery)["flour"] == "Which grain is milled. Dark or light."
    shown = inspect.getdoc(Bakery)
    assert shown is not None
    assert shown.startswith("How to bake.\n\nOptions:\n    flour = 'rye'  ('rye' or 'wheat')\n")
    assert "heat = None  (a number above 0 and below 300, or None)\n        Degrees. None = as the recipe" in shown
    signature = str(inspect.signature(DecodingOptions))
    assert signature.startswith("(*, beam_size: int = 1, num_hypotheses: int = 1, patience: float = 1.0")
    assert "Option(" not in signature


def test_functions_know_their_keywords() -> None:
    """A call with another is a TypeError, as of any function, that names the nearest."""

    @known_keywords
    def bake(loaf: str, *, oven: int = 1) -> str:
        return loaf * oven

    assert bake("a", oven=3) == "aaa"
    assert bake(loaf="b") == "b"
    with pytest.raises(TypeError, match=r"ovens: no such option of bake; did you mean 'oven'\?"):
        bake("a", ovens=3)  # type: ignore[call-arg]
    assert issubclass(UnknownOptionError, OptionError)


def bakery(*arguments: str, unset: bool = False) -> Any:
    """What a command of these options was given, or how it ended."""
    app, found = make_app(), []

    @command(app, epilog="")
    @takes(Bakery, unset=unset)
    def bake(given: Given) -> None:
        """Bake."""
        found.append(given)

    done = CliRunner().invoke(app, list(arguments))
    return found[0] if found else done


def test_commands_take_them() -> None:
    """Flags, defaults, lists, ranges; what was typed is known."""
    given = bakery("-r", "3", "--seeds", "poppy", "--seeds", "flax", "--salted", "--book", "b.txt", "--flour", "wheat")
    assert given.typed == {n: f"--{n}" for n in ("flour", "runs", "seeds", "salted", "book")}
    options = Bakery(**given.of(Bakery))
    assert given_values(options) == {
        "flour": "wheat",
        "runs": 3,
        "seeds": ("poppy", "flax"),
        "salted": True,
        "book": Path("b.txt"),
    }
    assert Bakery(**bakery().of(Bakery)) == Bakery()
    assert "watch" not in given.values


def test_commands_whose_defaults_come_from_elsewhere() -> None:
    """What isn't typed is None, and a flag can be switched off; `--help` shows the general defaults."""
    given = bakery("--no-salted", unset=True)
    assert {name: value for name, value in given.values.items() if value is not None} == {"salted": False}
    assert "Loaves, one after the other. [from 1 to 9; default: 1]" in " ".join(
        bakery("--help", unset=True).output.split()
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--heat", "0"], "error: --heat: expected a number above 0 and below 300, got 0.0\n"),
        (["--share", "1", "--heat", "-1"], "error: --heat: expected a number above 0 and below 300, got -1.0; --share"),
        (["--runs", "10"], "error: --runs: expected an integer from 1 to 9, got 10\n"),
        (["--flour", "oat"], "Invalid value for '--flour'"),
        (["--salty"], "No such option: --salty"),
    ],
)
def test_wrong_values_are_wrong_usage(arguments: list[str], message: str) -> None:
    """Whichever way they are found wrong: exit 2."""
    done = bakery(*arguments)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.replace("│", " ").split()) + "\n"

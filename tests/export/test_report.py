"""What the report of an export says to type next."""

import pytest
from rich.console import Console

from s2s_export.report import print_settling
from s2s_runtime.bundle.provenance import Provenance, SetUpItem

pytestmark = pytest.mark.tensorflow

SIDE = SetUpItem("padding side", "right", "assumed", "--padding-side")
ORDER = SetUpItem("source order", "as written", "assumed", "--expect")
TYPED = ["my model.keras", "--pairs", "fra.txt"]


def settling(items: tuple[SetUpItem, ...], typed: list[str]) -> list[str]:
    """The lines that are printed."""
    console = Console(width=100)
    with console.capture() as captured:
        print_settling(console, Provenance(items), typed)
    return captured.get().splitlines()


def test_an_assumption_comes_with_the_command_line_to_type() -> None:
    """The line that was typed, as a shell takes it, with the options added that settle what is assumed."""
    assert settling((SIDE,), TYPED)[1:] == [
        "  s2s-export 'my model.keras' --pairs fra.txt --padding-side SIDE --force",
        "or, in place of these, --expect FILE: what your own loop gave proves it",
    ]
    assert settling((SIDE,), [*TYPED, "--force", "--expect", "x.txt"])[1:] == [
        "  s2s-export 'my model.keras' --pairs fra.txt --force --expect x.txt --padding-side SIDE"
    ]


def test_what_only_outputs_settle_asks_for_them() -> None:
    """An item without an option of its own is settled by expected outputs, and these settle the others too."""
    assert settling((SIDE, ORDER), TYPED)[1:] == ["  s2s-export 'my model.keras' --pairs fra.txt --expect FILE --force"]


def test_nothing_assumed_nothing_to_type() -> None:
    """Where every item is known, no line is printed."""
    assert settling((SetUpItem("padding side", "right", "given", "--padding-side"),), TYPED) == []

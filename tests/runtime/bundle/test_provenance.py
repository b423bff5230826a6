"""How a bundle's set-up is known: kept in the manifest, summed up in a line, shown by s2s-inspect."""

import json

import pytest
from places import TINY
from rich.console import Console

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.bundle.manifest_file import read_manifest
from s2s_runtime.bundle.provenance import ORIGINS, Origin, Provenance, SetUpItem, Sign
from s2s_runtime.commands.inspection.tables import describe
from s2s_runtime.errors import BundleError

SIGN = Sign("probability of ' ' after the end of the target", "0.05", "rows of zeros")
SETUP = Provenance(
    (
        SetUpItem("padding", "rows of zeros", "pairs", "--padding", (SIGN,)),
        SetUpItem("source length", "16", "given", "--source-length"),
        SetUpItem("longest output", "60", "assumed", "--max-length"),
    ),
)


def with_setup(setup: object) -> dict[str, object]:
    """Return the content of a real manifest with a set-up of one's own."""
    return read_manifest(TINY).to_dict() | {"setup": setup}


def shown(manifest: Manifest) -> str:
    """Return what s2s-inspect shows, on one line."""
    console = Console(width=200, record=True, file=None)
    with console.capture() as captured:
        for table in describe("tiny", manifest):
            console.print(table)
    return " ".join(captured.get().split())


def test_the_manifest_keeps_it() -> None:
    """What is written reads back equal, through JSON."""
    read = Manifest.from_dict(json.loads(json.dumps(with_setup(SETUP.to_dict()))))
    assert read.setup == SETUP
    assert Manifest.from_dict(read.to_dict()) == read


def test_bundles_of_before_are_unknown() -> None:
    """A manifest without the field loads, and the set-up is called unknown, not verified."""
    old = with_setup(None)
    del old["setup"]
    manifest = Manifest.from_dict(old)
    assert manifest.setup is None
    assert "unknown: this bundle was written before set-ups were recorded" in shown(manifest)


def test_what_is_malformed_is_named() -> None:
    """An origin that isn't one is an error with its place."""
    broken = SETUP.to_dict() | {"items": [{"name": "padding", "value": "x", "origin": "guessed"}]}
    with pytest.raises(BundleError, match=r"setup.items\[0\].origin: expected one of 'proved', .*got 'guessed'"):
        Manifest.from_dict(with_setup(broken))


def test_an_assumption_is_never_called_proved() -> None:
    """The line keeps apart what is told, given and assumed, and names the option that settles an assumption."""
    assert SETUP.summary == (
        "set-up given by you: source length; told by the pairs: padding; "
        "assumed: longest output (--max-length settles it)"
    )
    assert SETUP.assumed == SETUP.items[2:]


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("others", [(), ("left",)])
def test_proved_stands_alone_only_where_everything_is(origin: Origin, others: tuple[str, ...]) -> None:
    """Under a proof, an item that is neither proved nor given by the caller follows the word at once."""
    items = (
        SetUpItem("padding", "rows of zeros", "proved", "--padding"),
        SetUpItem("padding side", "right", origin, "--padding-side", others=others),
    )
    summary = Provenance(items, 20).summary
    assert summary.startswith("set-up proved by 20 expected outputs")
    rest = summary.removeprefix("set-up proved by 20 expected outputs")
    if origin == "proved":
        assert rest == ""
    elif origin == "given":
        assert rest == "; given by you: padding side"
    else:
        untold = "left gives them too" if others else "which they don't tell"
        settles = "(--padding-side settles it, or more lines)"
        assert rest == f", but for padding side: right {ORIGINS[origin]}, {untold} {settles}"


def test_what_outputs_leave_open_has_its_other_values() -> None:
    """The manifest keeps them, the line and s2s-inspect name them; what has no option, more lines tell."""
    order = SetUpItem("source order", "as written", "assumed", others=("reversed",))
    length = SetUpItem("source length", "16", "pairs", "--source-length", others=("17", "18"))
    setup = Provenance((order, length), 1)
    assert Provenance((order,), 1).summary == (
        "set-up proved by 1 expected output, but for source order: as written assumed, reversed gives them too "
        "(more lines tell)"
    )
    assert "source length: 16 told by the pairs, 17 and 18 give them too (--source-length settle" in setup.summary
    manifest = Manifest.from_dict(json.loads(json.dumps(with_setup(setup.to_dict()))))
    assert manifest.setup == setup
    assert setup.to_dict()["summary"] == setup.summary
    assert "expected outputs: 17 and 18 give them too" in shown(manifest)
    assert setup.summary in shown(manifest)


def test_inspect_shows_signs_and_figures() -> None:
    """Each item with its value, how it is known, and what was measured."""
    seen = shown(Manifest.from_dict(with_setup(SETUP.to_dict())))
    for words in (
        "padding │ rows of zeros │ told by the pairs",
        "probability of ' ' after the end of the target: 0.05 (rows of zeros)",
        "assumed; --max-length settles it",
    ):
        assert words in seen

"""What a person sees of each command, at each kind of terminal: read from the screen of a pseudo-terminal."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest
from pseudo_terminal import COLOUR, ESCAPE, Place, Terminal, seen

BENCH = "s2s-bench tiny.s2s --batch-size 1 --beam-size 1,2 --repeats 6 --warm-up 1"
COMMANDS = {
    "decode": "s2s-decode tiny.s2s abc de --beam-size 3 -n 3 --scores",
    "bench": BENCH,
    "evaluate": "s2s-evaluate tiny.s2s pairs.tsv",
    "plot": "s2s-plot attention tiny.s2s abc -o map.png",
    "inspect": "s2s-inspect tiny.s2s",
    "train": "s2s-train pairs.tsv -o {name} --epochs 1 --units 6 --cell gru",
    "export": "s2s-export run/model.keras -o {name}.s2s",
}
SHOWN = {  # what must be readable, whole, at any width
    "decode": ["-0.8255", "ACC", "2"],
    "bench": ["tiny.s2s", "batch", "p50", "sent./s", "tokens/sent."],
    "evaluate": ["125 sources", "wrong sequences", "wrong tokens"],
    "plot": [],
    "inspect": ["tiny.s2s", "memory.1", "encoder.onnx", "'<pad>'", "make_tiny_bundle"],
    "train": [
        "epoch   1/1",
        "token accuracy",
        "111 pairs to train on",
        "best epoch 1 of 1",
        "held-out sources decoded",
    ],
    "export": ["compared", "greedy, one by one", "near ties", "parameters", "wrote"],
}
TENSORFLOW = ("train", "export")
each_command = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.tensorflow if name in TENSORFLOW else ()) for name in COMMANDS]
)


@pytest.fixture
def ready(folder: Path, request: pytest.FixtureRequest) -> Path:
    """The folder, with a trained run where the command needs one."""
    if request.node.callspec.params["name"] == "export":
        request.getfixturevalue("exported")
    return folder


@cache
def screen(name: str, what: str, place: Place) -> Terminal:
    """A command's screen; laws about one screen share it."""
    return seen(COMMANDS[name].format(name=what), place)


def dumb(folder: Path) -> Place:
    """A terminal that can't move its cursor, without colours, 80 columns wide."""
    return Place(80, term="dumb", no_color=True, folder=folder)


def assert_readable(name: str, terminal: Terminal) -> None:
    """The command went well, says what it should, and no line is torn or cut."""
    assert terminal.status == 0, terminal.text
    assert "Traceback" not in terminal.text
    unfolded = terminal.text.replace("\n", "")  # a terminal folds a long line of plain text anywhere
    for word in SHOWN[name]:
        assert word in terminal.text or word in unfolded, f"{word!r} is not on the screen:\n{terminal.text}"


def without_load_warning(terminal: Terminal) -> str:
    """What is on the screen, but for what s2s-bench says where the tests' machine is busy."""
    unfolded = terminal.text.replace("\n", "")
    return re.sub(r"warning: other programs used .* when ?the machine is quiet", "", unfolded)


@each_command
def test_at_80_columns(name: str, ready: Path, request: pytest.FixtureRequest) -> None:
    """In an ordinary terminal a command ends well, and all that it shows can be read."""
    if name in TENSORFLOW:
        terminal = request.getfixturevalue({"train": "trained", "export": "exported"}[name])
        assert terminal.status == 0, terminal.text
        words = [word.replace("1/1", "1/2").replace("best epoch 1 of 1", "best epoch") for word in SHOWN[name]]
        assert all(word in terminal.text.replace("\n", "") for word in words), terminal.text
        assert "Traceback" not in terminal.text
    else:
        assert_readable(name, screen(name, "x", Place(80, folder=ready)))


@each_command
def test_in_a_dumb_terminal(name: str, ready: Path) -> None:
    """With TERM=dumb nothing moves the cursor, nothing is coloured, and the same is said."""
    terminal = screen(name, "dumb", dumb(ready))
    assert_readable(name, terminal)
    assert not ESCAPE.search(terminal.written), terminal.written


@each_command
def test_results_go_to_the_pipe_and_progress_to_the_terminal(name: str, ready: Path) -> None:
    """At 120 columns with NO_COLOR: the pipe gets the result alone, plain and whole; nothing is coloured."""
    place = Place(120, no_color=True, folder=ready)
    terminal = seen(f"{COMMANDS[name].format(name='piped')} > {name}.out", place)
    assert terminal.status == 0, terminal.text
    assert not COLOUR.search(terminal.written)
    result = (ready / f"{name}.out").read_text(encoding="utf-8")
    assert "\x1b" not in result
    beside = ("epoch   1/1", "111 pairs to train on") if name == "train" else ()
    for word in beside:
        assert word in terminal.text
    for word in SHOWN[name]:
        assert (word in result) != (word in beside), f"{word!r}:\n{result}"
    if name != "train":
        assert without_load_warning(terminal) == ""


@each_command
def test_quiet(name: str, ready: Path) -> None:
    """With --quiet the terminal stays empty, and the result is the same; a closed standard input changes nothing."""
    terminal = seen(f"{COMMANDS[name].format(name='quiet')} --quiet <&- > quiet.out", Place(80, folder=ready))
    assert terminal.status == 0, terminal.text
    assert without_load_warning(terminal) == ""
    result = (ready / "quiet.out").read_text(encoding="utf-8")
    assert all(word in result for word in SHOWN[name] if name != "train")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in TENSORFLOW])
def test_no_color(name: str, folder: Path) -> None:
    """NO_COLOR keeps colours off the screen, also those of a bar."""
    more = " --repeats 40" if name == "bench" else ""
    terminal = seen(COMMANDS[name] + more, Place(120, no_color=True, folder=folder))
    assert terminal.status == 0, terminal.text
    assert not COLOUR.search(terminal.written)


@each_command
def test_a_reader_that_leaves(name: str, ready: Path) -> None:
    """`| head -1` is no error that a person hears of."""
    command = {
        "decode": "s2s-decode tiny.s2s --beam-size 2 < texts.txt",
        "plot": "s2s-plot --help",
        "train": "s2s-train --help",  # what it prints at last comes when nothing is lost
        "export": "s2s-export run/model.keras --dry-run",
    }.get(name, COMMANDS[name])
    terminal = seen(f"{command} | (head -1 > first.out; exec <&-; sleep 0.3)", Place(80, folder=ready))
    assert (ready / "first.out").read_text(encoding="utf-8").count("\n") == 1
    assert without_load_warning(terminal) == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_verbose_shows_where_an_error_arose(name: str, folder: Path) -> None:
    """One line of error in any case; with --verbose the place in the code before it."""
    command = {
        "decode": "s2s-decode none.s2s abc",
        "bench": "s2s-bench none.s2s",
        "evaluate": "s2s-evaluate none.s2s pairs.tsv",
        "plot": "s2s-plot attention none.s2s abc -o none.png",
        "inspect": "s2s-inspect none.s2s",
        "train": "s2s-train none.tsv -o none",
        "export": "s2s-export none.keras",
    }[name]
    plain = seen(command, Place(200, folder=folder))
    assert plain.status == 1
    assert len(plain.lines) == 1
    assert plain.lines[0].startswith("error: ")
    for flag in ("-v", "--verbose"):
        verbose = seen(f"{command} {flag}", Place(200, folder=folder))
        assert verbose.status == 1
        assert "Traceback" in verbose.text
        assert verbose.lines[-1] == plain.lines[-1]
        if name not in ("decode", "train"):
            break
    quiet = seen(f"{command} --quiet", Place(200, folder=folder))
    assert (quiet.status, quiet.lines) == (1, plain.lines)


def test_verbose_shows_log_lines(folder: Path) -> None:
    """The log of the libraries is silent unless it is asked for; then it stands on stderr, with where it comes from."""
    said = seen("s2s-decode tiny.s2s abc -v", Place(200, folder=folder))
    assert "debug: s2s_runtime" in said.text
    assert "CPUExecutionProvider decodes" in said.text.replace("\n", "")
    assert "debug" not in seen("s2s-decode tiny.s2s abc", Place(200, folder=folder)).text
    both = seen("s2s-decode tiny.s2s abc -v --quiet", Place(200, folder=folder))
    assert (both.status, both.text) == (2, "error: --verbose and --quiet: expected one of these at most")


def test_a_person_is_told_that_texts_are_read(folder: Path) -> None:
    """Without TEXT, at a terminal, s2s-decode says that it waits; each line is answered; control-D ends it."""
    terminal = Terminal("s2s-decode tiny.s2s", Place(80, folder=folder))
    terminal.wait_for("reading texts from the terminal, one a line; Ctrl-D ends")
    terminal.type("abc")
    terminal.wait_for("BBD")
    terminal.press("d")
    assert terminal.finish().status == 0
    quiet = Terminal("s2s-decode tiny.s2s --quiet", Place(80, folder=folder))
    quiet.type("abc")
    quiet.wait_for("BBD")
    quiet.press("d")
    assert quiet.finish().lines == ["abc", "BBD"]


def test_closed_streams(folder: Path) -> None:
    """Standard input or output that is closed is named where it is needed, and no matter where it isn't."""
    place = Place(80, folder=folder)
    closed = seen("s2s-decode tiny.s2s <&-", place)
    assert (closed.status, closed.text) == (1, "error: standard input is closed: give TEXT, or --input FILE")
    closed = seen("s2s-decode tiny.s2s abc >&-", place)
    assert (closed.status, closed.text) == (1, "error: standard output is closed: give --output FILE")
    for command in ("s2s-decode tiny.s2s abc <&-", "s2s-plot attention tiny.s2s abc -o map.png <&- >&-"):
        assert seen(command, place).status == 0


@pytest.mark.tensorflow
def test_a_bar_stands_under_the_epoch(folder: Path) -> None:
    """In mid-epoch the terminal shows which epoch, how many steps of how many, and the loss; later only a line."""
    command = "s2s-train many.tsv --rows 1500 -o bar --epochs 2 --units 6 --cell gru --batch-size 8 --score 0"
    terminal = Terminal(command, Place(80, folder=folder))
    terminal.wait_for(pattern=r"epoch 1/2 .* [1-9]\d*/\d+ loss \d\.\d{4}")
    terminal.wait_for(pattern=r"epoch 2/2 .* [1-9]\d*/\d+ loss \d\.\d{4}")
    terminal.finish()
    assert terminal.status == 0
    assert not re.search(r"epoch 2/2 ", terminal.text)
    assert "epoch   2/2  loss" in terminal.text


def test_json_is_one_document(folder: Path) -> None:
    """With --json standard output is for programs, whatever the terminal shows beside it."""
    for command in (f"{BENCH} --json", "s2s-evaluate tiny.s2s pairs.tsv --json", "s2s-inspect tiny.s2s --json"):
        assert without_load_warning(seen(f"{command} > out.json", Place(80, folder=folder))) == ""
        assert json.loads((folder / "out.json").read_text(encoding="utf-8"))

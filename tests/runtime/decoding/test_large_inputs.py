"""Inputs of any size: windows read ahead, files written in whole lines, resumed, and memory that doesn't grow."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import FIXTURES

from s2s_runtime import InputError, Model, OptionError, UnknownSymbolError
from s2s_runtime.decoding.text_files import drop_last_text, open_output, read_windows

TINY = str(FIXTURES / "tiny.s2s")
DECODE = [sys.executable, "-c", "from s2s_runtime.commands.decode import main; main()", TINY]


def texts(count: int) -> list[str]:
    """Texts of lengths 1 to 5, in no order."""
    return ["abcdebadce"[i % 6 : i % 6 + 1 + i * 7 % 5] for i in range(count)]


@pytest.mark.parametrize("read_ahead", [1, 3, 7, 100])
def test_windows_give_what_one_list_gives(tiny: Model, read_ahead: int) -> None:
    """Whatever is read ahead: the same results in the same order, empty sources among them."""
    sources = ["", *texts(20), "", "a"]
    expected = [result.ids for result in tiny.generate(sources, beam_size=2)]
    found = tiny.generate_iter(iter(sources), read_ahead=read_ahead, beam_size=2)
    assert [result.ids for result in found] == expected


def test_no_more_is_read_than_said(tiny: Model) -> None:
    """An endless source works; before a result is asked for nothing is read, then a window at a time."""
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield "abc"

    results = tiny.generate_iter(endless(), read_ahead=5)
    assert read == 0
    for taken in range(1, 12):
        next(results)
        assert read == -(-taken // 5) * 5


def test_prefixes_and_events_go_along(tiny: Model) -> None:
    """Prefixes are read with the sources; events and errors count from the first source of all."""
    results = list(tiny.generate_iter(["abc"] * 4, prefixes=["E", None, "C", "D"], read_ahead=3))
    assert [result.text[0] for result in results] == [
        result.text[0] for result in tiny.generate(["abc"] * 4, prefix=["E", None, "C", "D"])
    ]
    seen: list[int] = []
    list(tiny.generate_iter(texts(7), read_ahead=2, callback=lambda event: seen.append(event.sentence)))  # type: ignore[func-returns-value]
    assert set(seen) == set(range(7))
    with pytest.raises(UnknownSymbolError) as caught:
        list(tiny.generate_iter(["a"] * 5 + ["X"], read_ahead=2))
    assert caught.value.place == 5
    with pytest.raises(InputError, match=r"inputs\[3\]: expected ids from 0 to 6, got 9"):
        list(tiny.generate_iter([[2], [2], [2], [9]], read_ahead=2))


def test_bad_windows_are_refused_at_once(tiny: Model) -> None:
    """Before the first result is asked for."""
    for wrong in (0, 2.5, True):
        with pytest.raises(OptionError, match=f"read_ahead: expected an integer of at least 1, got {wrong}"):
            tiny.generate_iter([], read_ahead=wrong)  # type: ignore[arg-type]
    for prefixes, words in ((np.array(5), "expected a list, an array"), ("ab", "got one text"), (5, "expected a list")):
        with pytest.raises(InputError, match=f"prefixes: .*{words}"):
            tiny.generate_iter(["a", "b"], prefixes=prefixes)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="prefix: goes with a list of inputs; give generate_iter `prefixes`"):
        tiny.generate_iter([], prefix=["A"])
    with pytest.raises(OptionError, match="beam_size: expected an integer from 1 to 65536, got 0"):
        tiny.generate_iter([], beam_size=0)


def test_memory_does_not_grow_with_the_number_of_lines(tiny: Model, tmp_path: Path) -> None:
    """Six times the lines, the same peak of Python's memory, within a tenth."""
    peaks = []
    for count in (500, 3000):
        (tmp_path / "in").write_text("\n".join(texts(count)) + "\n")
        tracemalloc.start()
        report = tiny.generate_file(tmp_path / "in", tmp_path / "out", read_ahead=100, max_length=2)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (report.lines, report.skipped) == (count, 0)
    # what is read at once (up to 1 MB) is the part that may be larger
    assert peaks[1] < peaks[0] * 1.1 + 500_000


@given(content=st.text(alphabet="ab\r\né", max_size=40), cuts=st.lists(st.integers(0, 60)), most=st.integers(1, 5))
def test_windows_hold_whole_lines(content: str, cuts: list[int], most: int) -> None:
    """However a stream comes in pieces: its lines, cut at line feeds only, none lost, at most so many together."""
    data = content.encode()
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    pieces = [data[one:two] for one, two in pairwise(places)]
    windows = list(read_windows(pieces, most))
    assert b"".join(line for window in windows for line in window) == data
    assert all(1 <= len(window) <= most for window in windows)
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for window in windows[:-1] for line in window)


def test_a_slow_writer_is_answered_at_once(tiny: Model) -> None:
    """A pipe that holds two lines gives a window of two: nothing waits for the window to fill."""
    process = subprocess.Popen(DECODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        for text in ("abc", "de", "a"):
            process.stdin.write(f"{text}\n")
            process.stdin.flush()
            assert process.stdout.readline() == tiny.generate([text])[0].text + "\n"
        process.stdin.close()
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("content", "kept"), [(b"", b""), (b"AB\nC", b"AB\n"), (b"AB\nC\n", b"AB\nC\n"), (b"torn", b"")]
)
def test_a_torn_line_is_cut_off(tmp_path: Path, content: bytes, kept: bytes) -> None:
    """Going on begins behind the last whole line."""
    path = tmp_path / "out"
    path.write_bytes(content)
    with open_output(path, resume=True) as file:
        file.write(b"more\n")
    assert path.read_bytes() == kept + b"more\n"


@pytest.mark.parametrize("stop", [0, 1, 50, 99, 100])
def test_resuming_gives_what_one_run_gives(tiny: Model, tmp_path: Path, stop: int) -> None:
    """Wherever a run was stopped, also inside a line; the report tells what was done already."""
    (tmp_path / "in").write_text("\n".join(texts(100)))
    whole = tiny.generate_file(tmp_path / "in", tmp_path / "whole", read_ahead=16)
    assert whole.lines == 100
    expected = (tmp_path / "whole").read_bytes()
    assert expected.decode().splitlines() == [result.text for result in tiny.generate(texts(100))]
    lines = expected.splitlines(keepends=True)
    (tmp_path / "part").write_bytes(b"".join(lines[:stop]) + b"to"[: 100 - stop])
    seen: list[tuple[int, int]] = []
    report = tiny.generate_file(
        tmp_path / "in", tmp_path / "part", resume=True, read_ahead=16, on_progress=lambda *done: seen.append(done)
    )
    assert (report.lines, report.skipped) == (100 - stop, stop)
    assert (tmp_path / "part").read_bytes() == expected
    assert seen[-1] == (100, (tmp_path / "in").stat().st_size)


def test_an_output_that_cannot_be_resumed_is_refused(tiny: Model, tmp_path: Path) -> None:
    """More lines than the input, a source that isn't there or isn't UTF-8."""
    (tmp_path / "in").write_text("a\nb\n")
    (tmp_path / "out").write_text("A\nB\nC\n")
    with pytest.raises(InputError, match="the output holds 3 lines but the input only 2; is it another input"):
        tiny.generate_file(tmp_path / "in", tmp_path / "out", resume=True)
    assert (tmp_path / "out").read_text() == "A\nB\nC\n"
    with pytest.raises(FileNotFoundError):
        tiny.generate_file(tmp_path / "nothing", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "A\nB\nC\n"
    (tmp_path / "in").write_bytes(b"a\n\xff\n")
    with pytest.raises(InputError, match="text 2: not UTF-8"):
        tiny.generate_file(tmp_path / "in", tmp_path / "out")


def test_an_output_is_only_replaced_where_there_is_work(tiny: Model, tmp_path: Path) -> None:
    """The input itself (a hard link to it too), options out of range, several hypotheses a line: nothing is lost."""
    source, linked = tmp_path / "in", tmp_path / "linked"
    source.write_text("ab\n")
    linked.hardlink_to(source)
    for target in (source, linked):
        with pytest.raises(OptionError, match="target: expected another file than the source"):
            tiny.generate_file(source, target)
    assert source.read_text() == "ab\n"
    (tmp_path / "out").write_text("precious\n")
    with pytest.raises(OptionError, match="read_ahead: expected an integer of at least 1, got 0"):
        tiny.generate_file(source, tmp_path / "out", read_ahead=0)
    with pytest.raises(
        OptionError, match=r"num_hypotheses: expected 1 for generate_file.*generate_iter gives them all"
    ):
        tiny.generate_file(source, tmp_path / "out", beam_size=3, num_hypotheses=2)
    assert (tmp_path / "out").read_text() == "precious\n"


def test_a_byte_order_mark_is_no_symbol(tiny: Model, tmp_path: Path) -> None:
    """Editors write one at the start of a file; further down it is a character like any other."""
    (tmp_path / "in").write_bytes(b"\xef\xbb\xbfab\nc\n")
    report = tiny.generate_file(tmp_path / "in", tmp_path / "out")
    expected = [result.text for result in tiny.generate(["ab", "c"])]
    assert (tmp_path / "out").read_text().splitlines() == expected
    assert not report.unknown_symbols
    (tmp_path / "in").write_bytes(b"ab\n\xef\xbb\xbfc\n")
    with pytest.raises(UnknownSymbolError):
        tiny.generate_file(tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "texts_left", "left"),
    [
        ("", 0, ""),
        ("1\tA\n1\tB\n", 0, ""),
        ("1\tA\n2\tA\n2\tB\n", 1, "1\tA\n"),
        ("1\tA\n2\tA\n2\tB", 1, "1\tA\n"),
        ("1\t\n" * 3000 + "2\tA\n" * 3000, 1, "1\t\n" * 3000),
    ],
)
def test_the_last_text_of_an_n_best_output_is_done_again(
    tmp_path: Path, content: str, texts_left: int, left: str
) -> None:
    """Some of its hypotheses may be missing: its lines are taken off."""
    path = tmp_path / "out"
    path.write_text(content)
    assert drop_last_text(path) == texts_left
    assert path.read_text() == left


def test_an_output_without_numbers_is_no_n_best_output(tmp_path: Path) -> None:
    """Refused rather than cut."""
    (tmp_path / "out").write_text("AB\n")
    with pytest.raises(InputError, match="expected lines that begin with a number and a tab, got b'AB"):
        drop_last_text(tmp_path / "out")


@pytest.fixture
def listening_children() -> Iterator[None]:
    """Lets child processes hear Ctrl-C: a shell that starts the tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a handler, unlike "ignored", is not inherited
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("listening_children")
@pytest.mark.parametrize(("how", "options"), [(signal.SIGKILL, []), (signal.SIGINT, ["-n", "2", "--beam-size", "2"])])
def test_a_killed_run_is_resumed(tmp_path: Path, how: signal.Signals, options: list[str]) -> None:
    """Killed or interrupted in the middle the output holds whole lines; --resume makes it what one run makes."""
    lines, part, whole = tmp_path / "in", tmp_path / "part", tmp_path / "whole"
    lines.write_text("\n".join(texts(1500)) + "\n")
    arguments = [*DECODE, "--input", str(lines), "--read-ahead", "32", *options, "--output"]
    process = subprocess.Popen([*arguments, str(part)], stderr=subprocess.PIPE, text=True)
    while not (part.exists() and part.stat().st_size) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(how)
    _, message = process.communicate(timeout=20)
    if how == signal.SIGINT:
        assert (process.returncode, message) == (130, "error: interrupted; what was written stands\n")
    written = part.read_bytes()
    assert written.endswith(b"\n")
    subprocess.run([*arguments, str(part), "--resume"], check=True, timeout=60)
    subprocess.run([*arguments, str(whole)], check=True, timeout=60)
    assert whole.read_bytes().startswith(written)
    assert len(written) < whole.stat().st_size
    assert part.read_bytes() == whole.read_bytes()


def test_a_model_in_a_process_of_its_own_has_no_signal_handlers() -> None:
    """The library leaves signals alone; only the command answers Ctrl-C."""
    handlers = "[signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)]"
    load = f"import s2s_runtime; s2s_runtime.load({TINY!r})"
    code = f"import signal; before = {handlers}; {load}; assert before == {handlers}"
    subprocess.run([sys.executable, "-c", code], check=True)

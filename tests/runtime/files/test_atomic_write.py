"""Files and folders are whole or absent, whatever ends the writing."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from places import FIXTURES

import s2s_runtime
from s2s_runtime.files import atomic_write
from s2s_runtime.files.atomic_write import (
    clear_leftovers,
    finish_exchange,
    left_by_exchange,
    replacing,
    replacing_folder,
    write_text,
)


def test_a_file_takes_its_place_when_it_is_whole(tmp_path: Path) -> None:
    """Until then the old one stands there; the other has its name, for writers that go by it, and nobody sees it."""
    path = tmp_path / "model.weights.h5"
    path.write_text("old")
    with replacing(path) as beside:
        assert beside.name == path.name
        assert [item for item in tmp_path.iterdir() if item.name[0] != "."] == [path]
        beside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    """An error, or Ctrl-C, in the middle: the old file, and nothing beside it."""
    path = tmp_path / "a"
    write_text(path, "old")
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            _fail_half_way(path, error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def _fail_half_way(path: Path, error: type[BaseException]) -> None:
    with replacing(path) as beside:
        beside.write_text("half")
        raise error


def _fail_half_way_in_a_folder(path: Path) -> None:
    with replacing_folder(path) as folder:
        (folder / "file").write_text("three")
        raise ValueError("no")


def test_errors_name_the_path_that_was_given(tmp_path: Path) -> None:
    """Not the one beside it; errors about other files name those."""
    for path in (tmp_path / "none" / "a", tmp_path / "b"):
        (tmp_path / "b").mkdir(exist_ok=True)
        with pytest.raises(OSError, match=r"a\b|b\b") as caught:
            write_text(path, "x")
        assert caught.value.filename == str(path)
    with pytest.raises(OSError, match="other") as caught, replacing(tmp_path / "c"):
        raise OSError(errno.ENOSPC, "full", "other")
    assert caught.value.filename == "other"


def test_content_is_on_the_disk_before_its_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """File, rename, folder, in this order; of a folder every file in it too."""
    calls = []
    flush, replace = os.fsync, Path.replace

    def flushed(file: int) -> None:
        name = Path(os.readlink(f"/proc/self/fd/{file}")).name
        calls.append(f"flush {re.sub(r'^[.]tmp-[0-9a-f]{8}-', '', name)}")
        flush(file)

    def replaced(self: Path, target: Path) -> Path:
        calls.append(f"rename {target.name}")
        return replace(self, target)

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc, which tells what a file descriptor is")
    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "replace", replaced)
    place = tmp_path / "place"
    place.mkdir()
    write_text(place / "a", "text")
    assert calls == ["flush a", "rename a", "flush place"]
    calls.clear()
    with replacing_folder(place / "b") as folder:
        (folder / "c").write_text("c")
    assert calls == ["flush c", "flush b", "rename b", "flush place"]
    calls.clear()
    with replacing_folder(place / "b") as folder:
        (folder / "d").mkdir()
    assert calls == ["flush d", "flush b", "flush place"]  # the names were exchanged


def test_a_folder_takes_the_place_of_another(tmp_path: Path) -> None:
    """Whole, and the old one goes; where it fails, the old one stays and the new one goes."""
    path = tmp_path / "bundle"
    for content in ("one", "two"):
        with replacing_folder(path) as folder:
            (folder / "file").write_text(content)
        assert [file.read_text() for file in path.iterdir()] == [content]
    with pytest.raises(ValueError, match="no"):
        _fail_half_way_in_a_folder(path)
    assert [file.read_text() for file in path.iterdir()] == ["two"]
    assert list(tmp_path.iterdir()) == [path]


Writing = Callable[[Path], AbstractContextManager[Path]]


def _write_and_wait(writing: Writing, path: Path) -> int:
    """Begin to write in a process of its own, whose number is returned when it does."""
    reading, told = os.pipe()
    child = os.fork()
    if not child:
        try:
            with writing(path):
                os.write(told, b"1")
                signal.pause()
        finally:
            os._exit(1)
    assert os.read(reading, 1) == b"1"
    os.close(reading)
    os.close(told)
    return child


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("writing", [replacing, replacing_folder])
def test_what_a_killed_process_left_goes_with_the_next_writing(tmp_path: Path, writing: Writing) -> None:
    """And only that: what a living process is writing stays, as does what has another name."""
    others = [tmp_path / name for name in (".tmp-1a2b3c4d-longer-name", ".tmp-abc-name", "notes-name")]
    for other in others:
        other.mkdir()
    living, dead = (_write_and_wait(writing, tmp_path / "name") for _ in range(2))
    try:
        assert len([*tmp_path.iterdir()]) == len(others) + 2
        before = _hidden(tmp_path)
        os.kill(dead, signal.SIGKILL)
        os.waitpid(dead, 0)
        assert _hidden(tmp_path) == before
        with writing(tmp_path / "name") as beside:
            (beside / "file" if beside.is_dir() else beside).write_text("whole")
        assert len(_hidden(tmp_path)) == 1
        assert _hidden(tmp_path) < before
    finally:
        os.kill(living, signal.SIGKILL)
        os.waitpid(living, 0)
    clear_leftovers(tmp_path, "n*")
    assert not _hidden(tmp_path)
    assert all(other.is_dir() for other in others)


def _hidden(folder: Path) -> set[Path]:
    return {path for path in folder.glob(".tmp-*-name") if re.fullmatch(r"[.]tmp-[0-9a-f]{8}-name", path.name)}


def test_a_folder_is_found_by_its_whole_name(tmp_path: Path) -> None:
    """What stood at "longer-name" is not what stood at "name"."""
    (tmp_path / ".old-1a2b3c4d-longer-name").mkdir()
    assert left_by_exchange(tmp_path / "name") is None
    assert left_by_exchange(tmp_path / "longer-name") == tmp_path / ".old-1a2b3c4d-longer-name"


EVENTS = ("_flush", "_flush_folder", "_exchanged", "finish_exchange")


def _written_until(path: Path, stop: int, *, exchanges: bool) -> bool:
    """Write a folder anew in a process that is gone before its event number `stop`; whether it came to its end."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    left = [stop]

    def ending(function: Callable[..., object]) -> Callable[..., object]:
        def counted(*arguments: object, **options: object) -> object:
            if not left[0]:
                os._exit(9)
            left[0] -= 1
            return function(*arguments, **options)

        return counted

    try:
        if not exchanges:
            atomic_write._exchanged = lambda *_: False
        for name in EVENTS:
            setattr(atomic_write, name, ending(getattr(atomic_write, name)))
        for owner, name in ((Path, "replace"), (Path, "mkdir"), (shutil, "rmtree")):
            setattr(owner, name, ending(getattr(owner, name)))
        with replacing_folder(path) as folder:
            (folder / "file").write_text("new")
        os._exit(0)
    finally:
        os._exit(1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("exchanges", [True, False])
def test_no_end_of_a_process_loses_a_folder(tmp_path: Path, exchanges: bool) -> None:
    """Killed before any of its steps: the old folder or the new one is found, whole, and stands there again."""
    path, ended, ways = tmp_path / "bun[d]le.s2s", False, set()
    for stop in range(40):
        if path.exists():
            shutil.rmtree(path)
        path.mkdir()
        (path / "file").write_text("old")
        ended = _written_until(path, stop, exchanges=exchanges)
        found = left_by_exchange(path) or path
        ways.add((found == path, (found / "file").read_text()))
        assert (found / "file").read_text() in ("old", "new")
        finish_exchange(path)
        assert (path / "file").read_text() in ("old", "new")
        assert not list(tmp_path.glob(".old-*"))
        if ended:
            break
    assert ended
    assert ways == {(True, "old"), (True, "new")} | (set() if exchanges else {(False, "old")})


def test_a_bundle_is_found_under_its_other_name(tmp_path: Path) -> None:
    """Where a process ended while it exchanged it, on a system that needs two renames: to read it changes nothing."""
    shutil.copytree(FIXTURES / "tiny.s2s", tmp_path / ".old-1a2b3c4d-tiny.s2s")
    before = sorted(tmp_path.rglob("*"))
    assert s2s_runtime.load(tmp_path / "tiny.s2s").generate([[1]])
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(s2s_runtime.BundleNotFoundError):
        s2s_runtime.load(tmp_path / "iny.s2s")


def full(*_: object, **__: object) -> None:
    """What the system says of a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits and fork are POSIX's")
def test_a_file_that_may_not_grow_is_named(tmp_path: Path) -> None:
    """By every command that writes: one line, what was there stays, and of lines the whole ones for `--resume`."""
    (tmp_path / "in.txt").write_text("ab\n" * 3000)
    (tmp_path / "pairs.tsv").write_text("ab\tc\n")
    (tmp_path / "old.tsv").write_text("old")
    bundle, manners = str(FIXTURES / "tiny.s2s"), {"cwd": tmp_path, "capture_output": True, "text": True}
    commands = {
        "out.txt": ["decode", bundle, "-i", "in.txt", "-o", "out.txt"],
        "old.tsv": ["evaluate", bundle, "pairs.tsv", "--outputs", "old.tsv"],
        "pic.png": ["plot", "attention", bundle, "ab", "-o", "pic.png"],
    }
    for name, (command, *arguments) in commands.items():
        limited = (
            "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2, 2)); "
            f"from s2s_runtime.commands.{command} import main; main()"
        )
        found = subprocess.run([sys.executable, "-c", limited, *arguments], check=False, **manners)  # type: ignore[call-overload]
        assert (found.returncode, found.stderr.splitlines()[-1]) == (1, f"error: [Errno 27] File too large: '{name}'")
    assert (tmp_path / "old.tsv").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "old.tsv", "out.txt", "pairs.tsv"]


@pytest.mark.parametrize("step", ["_flush", "_flush_folder"])
def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Said when the content is to be on the disk, as network file systems do: the old file and folder stay."""
    write_text(tmp_path / "a", "old")
    with replacing_folder(tmp_path / "b") as folder:
        (folder / "file").write_text("old")
    monkeypatch.setattr(atomic_write, step, full)
    with pytest.raises(OSError, match="No space left"), replacing_folder(tmp_path / "b") as folder:
        (folder / "file").write_text("new")
    if step == "_flush":
        with pytest.raises(OSError, match="No space left"):
            write_text(tmp_path / "a", "new")
    assert [(tmp_path / name).read_text() for name in ("a", "b/file")] == ["old", "old"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_folder_that_vanishes_is_one_error(tmp_path: Path) -> None:
    """It names what was to be written; nothing else is raised by tidying up."""
    (tmp_path / "gone").mkdir()
    with pytest.raises(FileNotFoundError) as caught:
        _write_into_what_vanishes(replacing, tmp_path / "gone" / "a")
    assert caught.value.filename == str(tmp_path / "gone" / "a")
    (tmp_path / "gone").mkdir()
    with pytest.raises(FileNotFoundError) as caught:
        _write_into_what_vanishes(replacing_folder, tmp_path / "gone" / "b")
    assert caught.value.filename == str(tmp_path / "gone" / "b")


def _write_into_what_vanishes(writing: Writing, path: Path) -> None:
    with writing(path) as beside:
        shutil.rmtree(path.parent)
        beside.write_text("x")

"""Files and folders are whole or absent, whatever ends the writing."""

import errno
import os
from pathlib import Path

import pytest

from s2s_runtime.files import atomic_write
from s2s_runtime.files.atomic_write import replacing, replacing_folder, write_text


def test_a_file_takes_its_place_when_it_is_whole(tmp_path: Path) -> None:
    """Until then the old one stands there; the name beside it ends alike, for writers that go by the ending."""
    path = tmp_path / "model.weights.h5"
    path.write_text("old")
    with replacing(path) as beside:
        assert beside.parent == tmp_path
        assert beside.name.endswith("model.weights.h5")
        assert beside.match(f"{atomic_write.BESIDE}{path.name}")
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
        calls.append(f"flush {Path(os.readlink(f'/proc/self/fd/{file}')).name.partition('-')[2].partition('-')[2]}")
        flush(file)

    def replaced(self: Path, target: Path) -> Path:
        calls.append(f"rename {target.name}")
        return replace(self, target)

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc, which tells what a file descriptor is")
    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "replace", replaced)
    place = tmp_path / "x-x-place"
    place.mkdir()
    write_text(place / "a", "text")
    assert calls == ["flush a", "rename a", "flush place"]
    calls.clear()
    with replacing_folder(place / "b") as folder:
        (folder / "x-x-c").write_text("c")
    assert calls == ["flush c", "flush b", "rename b", "flush place"]


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

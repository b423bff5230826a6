"""ARCHITECTURE.md and its picture say what the code is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from draw_architecture import PACKAGES, PICTURE, ROOT, WAY, draw, floors, write
from matplotlib.patches import FancyBboxPatch

MOST_MODULES = 15


def test_the_picture_is_drawn_from_the_code(tmp_path: Path) -> None:
    """`make architecture` has been run since an import between rooms last changed."""
    write(tmp_path / "now.svg")
    assert (tmp_path / "now.svg").read_text(encoding="utf-8") == PICTURE.read_text(encoding="utf-8")


def test_the_picture_shows_all_and_no_words_over_a_room() -> None:
    """Every room's box lies within the picture, and the way of a sentence beside them."""
    figure = draw()
    figure.draw_without_rendering()
    [axes] = figure.axes
    rooms = [patch.get_window_extent() for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    assert len(rooms) == sum(len(floor) for package in PACKAGES for floor in floors(package))
    assert all(axes.bbox.y0 <= room.y0 and room.y1 <= axes.bbox.y1 for room in rooms)
    way = dict(WAY).values()
    words = [text.get_window_extent() for text in axes.texts if text.get_text() in way]
    assert len(words) == len(WAY)
    assert not any(text.overlaps(room) for text in words for room in rooms)


def test_every_place_that_the_page_names_is_there() -> None:
    """Folders and files in `code` that look like paths exist, so that nobody is sent to a room that moved."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:runtime|training|export|tests|docs|benchmarks)/[\w/.-]+)`", text)
    assert len(named) > 15
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize(("package", "folder"), PACKAGES.items())
def test_rooms_are_small(package: str, folder: str) -> None:
    """No room, nor a package itself, holds more modules than a person can look over."""
    root = ROOT / folder / package
    places = [root, *(path for path in root.rglob("*") if path.is_dir() and (path / "__init__.py").exists())]
    modules = {str(place.relative_to(ROOT)): len([*place.glob("[!_]*.py")]) for place in places}
    assert {place: count for place, count in modules.items() if count > MOST_MODULES} == {}


@pytest.mark.parametrize(("package", "folder"), PACKAGES.items())
def test_rooms_say_what_they_hold(package: str, folder: str) -> None:
    """Each room begins with a line that says what belongs there."""
    for rooms in floors(package):
        for room in rooms:
            place = ROOT / folder / package / room
            file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
            assert file.read_text(encoding="utf-8").startswith('"""'), file

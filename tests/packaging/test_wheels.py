"""The wheels as people install them."""

import os
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from places import ROOT

PROJECTS = ("runtime", "training", "export")


@pytest.fixture(params=PROJECTS)
def wheel(request: pytest.FixtureRequest) -> Path:
    """Each built wheel in turn."""
    folder = request.config.getoption("--wheels")
    if folder is None:
        pytest.skip("needs --wheels DIR, the folder that `make wheels` fills")
    (found,) = folder.glob(f"s2s_{request.param}-*.whl")
    return found.resolve()


def test_holds_one_package(wheel: Path) -> None:
    """A wheel installs its own package, typed, and nothing beside it."""
    package = wheel.name.split("-")[0]
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {package, f"{package}-0.1.0.dist-info"}
    assert f"{package}/py.typed" in names


def test_imports_without_the_source_tree(wheel: Path, tmp_path: Path) -> None:
    """What was packed is complete: the package imports from the wheel's content alone."""
    package = wheel.name.split("-")[0]
    zipfile.ZipFile(wheel).extractall(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", f"import {package}; print({package}.__file__, {package}.__version__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.stdout.startswith(str(tmp_path))
    assert done.stdout.rstrip().endswith("0.1.0")


FOR_PEOPLE = {
    "arrow_tables",
    "bench",
    "calibrating",
    "commands",
    "console",
    "plots",
    "ray",
    "report",
    "serving",
    "spark",
    "tuning",
}  # rooms that decoding never imports


def test_runtime_is_small(wheel: Path) -> None:
    """What an application embeds of the runtime stays under 326 kB packed; all of it, the server too, under 545."""
    if wheel.name.startswith("s2s_runtime"):
        with zipfile.ZipFile(wheel) as archive:
            sizes = {Path(item.filename).parts[1]: 0 for item in archive.infolist()}
            for item in archive.infolist():
                sizes[Path(item.filename).parts[1]] += item.compress_size
        assert sum(size for room, size in sizes.items() if room not in FOR_PEOPLE) < 326_000
        assert wheel.stat().st_size < 545_000


def test_says_what_an_index_shows(wheel: Path) -> None:
    """The licence lies inside; authors, keywords, and the versions of Python that the tests ran on are told."""
    package = wheel.name.split("-")[0]
    with zipfile.ZipFile(wheel) as content:
        folder = f"{package}-0.1.0.dist-info"
        assert content.read(f"{folder}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
        told = message_from_bytes(content.read(f"{folder}/METADATA"))
    assert told["License-Expression"] == "Apache-2.0"
    assert told["Author"] == "The s2s project"
    assert told["Keywords"]
    assert set(told["Requires-Python"].split(",")) == {">=3.11", "<3.14"}
    versions = {line.split(" :: ")[-1] for line in told.get_all("Classifier") if line.count(" :: ") == 2}
    assert {"3.11", "3.12", "3.13"} <= versions


@pytest.mark.parametrize("project", PROJECTS)
def test_siblings_are_of_the_same_minor_version(project: str) -> None:
    """What one release's packages share may change with the next minor version: they ask for each other's own."""
    settings = tomllib.loads((ROOT / project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    major, minor, _ = map(int, settings["version"].split("."))
    extras = [line for lines in settings.get("optional-dependencies", {}).values() for line in lines]
    siblings = [line for line in settings["dependencies"] + extras if line.startswith("s2s-")]
    assert all(line.endswith(f">={major}.{minor},<{major}.{minor + 1}") for line in siblings)
    assert siblings or project == "runtime"


@pytest.mark.parametrize("project", PROJECTS)
def test_dependencies_point_one_way(project: str) -> None:
    """The runtime needs numpy alone; training needs the runtime; export needs both."""
    settings = tomllib.loads((ROOT / project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {requirement.split(">")[0].split("[")[0] for requirement in settings["dependencies"]}
    assert (
        names & {"s2s-runtime", "s2s-training", "s2s-export"}
        == {
            "runtime": set(),
            "training": {"s2s-runtime"},
            "export": {"s2s-runtime", "s2s-training"},
        }[project]
    )
    if project == "runtime":
        assert names == {"numpy"}

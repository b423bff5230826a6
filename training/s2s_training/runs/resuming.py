"""What a folder knows of the run, or the runs with several seeds, that began in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from s2s_runtime.errors import raised_as
from s2s_runtime.files.json_fields import read_json, write_json
from s2s_training.config.toml_file import read_config
from s2s_training.config.training import TrainingConfig
from s2s_training.errors import RunFolderError
from s2s_training.runs.variations import begun_variations


def has_begun(path: Path) -> bool:
    """Return whether a folder holds a run, or runs with several seeds, that can be resumed."""
    return any(_configs(path))


def begun_config(path: Path) -> TrainingConfig:
    """Return the configuration of the run in a folder, or of the first of those with several seeds.

    Raises:
        RunFolderError: no run began there.
        ConfigError: what stands there is no configuration.
    """
    if not has_begun(path):
        raise RunFolderError(f"{path}: no run began there that could be resumed: give DATA to start one")
    return read_config(next(_configs(path)))


def write_seeds(path: Path, seeds: Sequence[int]) -> None:
    """Write which seeds were asked for, those of earlier commands included."""
    path.mkdir(parents=True, exist_ok=True)
    write_json(_seeds_file(path), sorted({*begun_seeds(path), *seeds}))


def begun_seeds(path: Path) -> list[int]:
    """Return the seeds that were asked for in a folder; none where it is that of a single run.

    Raises:
        RunFolderError: the file that says so holds something else.
    """
    file = _seeds_file(path)
    if not file.is_file():
        return []
    with raised_as(RunFolderError):
        seeds = read_json(file)
    if not isinstance(seeds, list) or not all(isinstance(seed, int) for seed in seeds):
        raise RunFolderError(f"{file}: expected a list of seeds, got {seeds!r}; give --seeds")
    return seeds


def _configs(path: Path) -> Iterator[Path]:
    yield from path.glob("config.toml")
    yield from sorted(path.glob("seed-*/config.toml"))
    if begun_variations(path) is not None:
        yield from sorted([*path.glob("*/config.toml"), *path.glob("*/seed-*/config.toml")])


def _seeds_file(path: Path) -> Path:
    return path / "seeds.json"

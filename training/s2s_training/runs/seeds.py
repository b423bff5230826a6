"""The same run with several seeds: how much of a figure is chance."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from s2s_runtime.files.json_fields import write_json
from s2s_training.config.fit import LARGEST_SEED
from s2s_training.config.toml_file import read_config
from s2s_training.config.training import TrainingConfig
from s2s_training.errors import ConfigError, RunFolderError
from s2s_training.runs.resuming import write_seeds
from s2s_training.runs.run_folder import RunFolder

logger = logging.getLogger(__name__)

Train = Callable[[TrainingConfig, Path], dict[str, Any]]


def seed_folder(path: Path, seed: int) -> Path:
    """Return the run folder of a seed."""
    return path / f"seed-{seed}"


def parse_seeds(text: str) -> list[int]:
    """Return the seeds that were typed: numbers from 0 to 2**32 - 1, separated by commas.

    >>> parse_seeds("1,2,3")
    [1, 2, 3]

    Raises:
        ConfigError: something else, or the same one twice.
    """
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError:
        seeds = []
    if not seeds or min(seeds) < 0 or max(seeds) > LARGEST_SEED or len(set(seeds)) < len(seeds):
        raise ConfigError(
            f"seeds: expected different numbers from 0 to {LARGEST_SEED} separated by commas, got {text!r}"
        )
    return seeds


def check_seeds_folder(path: Path) -> None:
    """Check that runs of several seeds may be written here; their summary would replace that of a single run.

    Raises:
        RunFolderError: it is the folder of a single run.
    """
    if (path / "config.toml").is_file():
        raise RunFolderError(f"{path} is the folder of a single run: choose another for those of several seeds")


def train_seeds(config: TrainingConfig, path: Path, seeds: Sequence[int], train: Train) -> dict[str, Any]:
    """Train once per seed, into `seed-N` folders, and write `summary.json` over all that the folder holds.

    Complete runs of further seeds that are there already count too, where their options are the same.

    Args:
        config: of every run, but for the seed.
        path: folder of the run folders.
        seeds: at least one.
        train: runs one configuration into one folder, and returns its summary.

    Returns:
        The content of `summary.json`: see `summarize`.

    Raises:
        RunFolderError: see `check_seeds_folder`.
    """
    check_seeds_folder(path)
    write_seeds(path, seeds)
    summaries = {seed: train(config.override(seed=seed), seed_folder(path, seed)) for seed in seeds}
    for seed, run in _complete_runs(path):
        if seed not in summaries and _same_options(run, config.override(seed=seed)):
            summaries[seed] = run.read_summary()
    in_order = sorted(summaries)
    summary = summarize(in_order, [summaries[seed] for seed in in_order])
    write_json(path / "summary.json", summary)
    return summary


def _complete_runs(path: Path) -> Iterator[tuple[int, RunFolder]]:
    """Yield the seed and the folder of each complete run among the `seed-N` folders."""
    for folder in path.glob("seed-*"):
        number = folder.name.removeprefix("seed-")
        run = RunFolder(folder)
        if number.isdecimal() and folder == seed_folder(path, int(number)) and run.complete() and run.config.is_file():
            yield int(number), run


def _same_options(run: RunFolder, config: TrainingConfig) -> bool:
    try:
        differences = read_config(run.config).differences(config, besides={"tensorboard"})
    except ConfigError as error:
        differences = [str(error)]
    if differences:
        logger.info(
            "%s is left out of the summary, for other options (then, now): %s", run.path, ", ".join(differences)
        )
    return not differences


def summarize(seeds: Sequence[int], summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return mean and spread of every figure that all summaries hold.

    The result holds `seeds`, and for each figure of `best` and `errors` an object of `mean`, `deviation` (of the
    sample, 0 for a single one), `least`, `most` and `values` in the order of the seeds.
    """
    return {
        "seeds": list(seeds),
        **{part: _spread([summary[part] for summary in summaries]) for part in ("best", "errors")},
    }


def _spread(values: Sequence[Any]) -> Any:
    if isinstance(values[0], Mapping):
        return {
            name: _spread([figures[name] for figures in values]) for name in values[0] if all(name in e for e in values)
        }
    return {
        "mean": statistics.fmean(values),
        "deviation": statistics.stdev(values) if len(values) > 1 else 0.0,
        "least": min(values),
        "most": max(values),
        "values": list(values),
    }

"""The command `s2s-train`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from s2s_runtime.commands.command_options import Given, takes
from s2s_runtime.console.app import command, make_app
from s2s_runtime.console.manners import UsageError, error_console, typer
from s2s_training.commands.train_options import TrainSettings
from s2s_training.config.data import DataConfig
from s2s_training.config.fit import FitConfig
from s2s_training.config.model import ModelConfig
from s2s_training.config.training import TrainingConfig
from s2s_training.errors import ConfigError, DataNotFoundError
from s2s_training.runs.summaries import describe

app = make_app()
Train = Callable[[TrainingConfig, Path], dict[str, Any]]
EPILOG = """
RUN holds model.keras and vocab.json for s2s-export, and history.json, loss.png, summary.json.

**Examples**

`s2s-train fra.txt --tutorial --rows 10000 --epochs 20 -o runs/translator`

`s2s-train pairs.tsv --bidirectional --attention dot -o runs/letters`

`s2s-train pairs.tsv --source-unit word --target-unit word --cell gru --min-count 2 -o runs/words`

`s2s-train cmudict -o runs/pronunciation`

`s2s-train train.en --target-file train.fr --source-unit word --target-unit word -o runs/parallel`

`s2s-train pairs.csv --source-column english --target-column french -o runs/columns`

`s2s-train sine-cosine -o runs/curves`

`s2s-train text.txt --kind language-model -o runs/writer`

`s2s-train tags.tsv --model same-length --source-unit word --target-unit symbol --bidirectional -o runs/tagger`

`s2s-train names.tsv --start-from runs/letters --learning-rate 0.0005 -o runs/names`

`s2s-train --resume -o runs/letters`

`s2s-train --config runs/letters/config.toml --seeds 1,2,3 -o runs/again`

`s2s-train pairs.tsv --vary "units=64,128 cell=gru,lstm" --jobs 2 -o runs/grid`
"""


@command(app, epilog=EPILOG)
@takes(TrainSettings, DataConfig, ModelConfig, FitConfig, unset=True)
def train(given: Given) -> None:
    """Train a recurrent encoder-decoder on pairs of texts, or of curves; or a tagger, CTC, or a language model.

    DATA is a TSV file, `source<TAB>target` per line, a folder of files, the name of a built-in data set, or a text.
    Built-in data sets and --tutorial bring defaults of their own; --config comes before those, and what stands here
    before all.
    """
    settings = TrainSettings(**_typed(given, TrainSettings))
    options = _typed(given, DataConfig) | _typed(given, ModelConfig) | _typed(given, FitConfig)
    try:
        config = _configure(options, settings)
        seeds = _seeds(settings, options)
        vary = _vary(settings, options)
        if settings.jobs > 1 and seeds is None and vary is None:
            raise ConfigError("jobs: expected --seeds or --vary beside it, which make several runs")
        summary = _run(config, settings, seeds, vary)
    except ConfigError as error:
        raise UsageError(str(error)) from error
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_how_to_go_on(settings.run, settings.jobs)) from None
    typer.echo(json.dumps(summary, indent=1) if settings.as_json else describe(summary, settings.run))


def _typed(given: Given, kind: type) -> dict[str, Any]:
    """Return the options of a section that were typed."""
    return {name: value for name, value in given.of(kind).items() if value is not None}


def _configure(typed: Mapping[str, Any], settings: TrainSettings) -> TrainingConfig:
    """Return the configuration of the run that is asked for.

    It begins with the preset for the data, or with what the run to be resumed began with; a run to start from comes
    before that. The options of the `--config` file replace values of these, and options that were typed replace all.
    """
    from s2s_training.config.toml_file import read_options
    from s2s_training.data.datasets import SERIES, default_config, tutorial_config
    from s2s_training.runs.resuming import begun_config
    from s2s_training.start_run import options_of_start

    if settings.resume and settings.force:
        raise ConfigError("resume, force: expected one of them at most")
    options = {**({} if settings.config is None else read_options(settings.config)), **typed}
    data = options.get("data")
    if data is None and settings.resume and not settings.tutorial:
        return begun_config(settings.run).override(**options)
    if options.get("start_from") is not None:
        options = options_of_start(options["start_from"]) | options
    if data is None:
        raise ConfigError("nothing to train on: give DATA, a file or a built-in data set, or a --config that names it")
    if settings.tutorial and data in SERIES:
        raise ConfigError(f"tutorial: expected pairs of texts, got the continuous data set {data!r}")
    usual = default_config(data, options.get("kind"))
    chosen = (tutorial_config(data) if settings.tutorial else usual).override(**options)
    if settings.tutorial and chosen == usual.override(**options):
        raise ConfigError(f"tutorial: {settings.config or 'DATA'} settles everything that it would; leave it out")
    return chosen


def _seeds(settings: TrainSettings, typed: Mapping[str, Any]) -> list[int] | None:
    """Return the seeds that are asked for; None for a single run.

    A folder that is resumed keeps the seeds with which it was begun.
    """
    from s2s_training.runs.resuming import begun_seeds
    from s2s_training.runs.seeds import parse_seeds

    if settings.seeds is None:
        begun = begun_seeds(settings.run) if settings.resume and "data" not in typed and not settings.config else []
        return begun or None
    if "seed" in typed:
        raise ConfigError("seed, seeds: expected one of them, got both")
    return parse_seeds(settings.seeds)


def _vary(settings: TrainSettings, typed: Mapping[str, Any]) -> str | None:
    """Return what is to be varied; a folder that is resumed keeps what it was begun with."""
    from s2s_training.runs.variations import begun_variations

    if settings.vary is None and settings.resume and "data" not in typed and not settings.config:
        return begun_variations(settings.run)
    return settings.vary


def _how_to_go_on(run: Path, jobs: int) -> str:
    """Return the advice that is printed after the word "interrupted"."""
    from s2s_training.runs.resuming import has_begun

    if not has_begun(run):
        return "nothing was written yet"
    within = ", or the last state in it" if any(run.glob("**/backup/epoch-*-step-*.weights.h5")) else ""
    side_by_side = f" --jobs {jobs}" if jobs > 1 else ""
    return f"s2s-train --resume{side_by_side} -o {shlex.quote(str(run))} goes on with the last whole epoch{within}"


def _run(config: TrainingConfig, settings: TrainSettings, seeds: list[int] | None, vary: str | None) -> dict[str, Any]:
    """Train what is asked for, and return the summary of all."""
    from s2s_runtime.files.json_fields import write_json
    from s2s_training.runs.resuming import write_seeds
    from s2s_training.runs.run_folder import RunFolder
    from s2s_training.runs.seeds import check_seeds_folder, seed_folder, train_seeds
    from s2s_training.runs.variations import compare, parse_variations, variation_folder, varied, write_variations

    run = settings.run
    grid = [{}] if vary is None else parse_variations(vary)
    variations = [
        (options, variation_folder(run, options) if options else run, varied(config, options)) for options in grid
    ]
    runs: dict[Path, TrainingConfig] = {}
    for _, folder, own in variations:
        if seeds is not None:
            check_seeds_folder(folder)
        runs |= (
            {folder: own} if seeds is None else {seed_folder(folder, seed): own.override(seed=seed) for seed in seeds}
        )
    for folder, own in runs.items():  # what is cheap to see comes before TensorFlow
        RunFolder(folder).check(own, resume=settings.resume, force=settings.force)
        _require_data(own, settings)
    if vary is not None:
        check_seeds_folder(run)
        write_variations(run, vary)
    if seeds is not None and (vary is not None or settings.jobs > 1):
        write_seeds(run, seeds)
    one = _one_by_one(config, settings) if settings.jobs == 1 else _side_by_side(runs, settings)
    summaries = [
        (options, one(own, folder) if seeds is None else train_seeds(own, folder, seeds, one))
        for options, folder, own in variations
    ]
    if vary is None:
        return summaries[0][1]
    summary = compare(summaries)
    write_json(run / "summary.json", summary)
    return summary


def _one_by_one(config: TrainingConfig, settings: TrainSettings) -> Train:
    """Return what trains a run in this process, with TensorFlow loaded."""
    from s2s_runtime.console.progress import stages
    from s2s_training.quiet_import import import_quietly

    with stages() as tell:
        tell("loading TensorFlow")
        import_quietly(config.fit.devices)
    from s2s_training.commands.progress import ShowProgress
    from s2s_training.train import train

    console = error_console()

    def one(own: TrainingConfig, folder: Path) -> dict[str, Any]:
        progress = ShowProgress(console, own.fit.epochs, smoothed=own.fit.label_smoothing > 0)
        how = {"resume": settings.resume, "force": settings.force}
        try:
            return train(own, folder, **how, callbacks=[progress], stages=progress.stage)
        finally:
            progress.stop()  # an interrupted run would leave the bar, and the cursor hidden

    return one


def _side_by_side(runs: dict[Path, TrainingConfig], settings: TrainSettings) -> Train:
    """Train all runs in processes of their own, and return what reads the summary of one."""
    from s2s_training.commands.runs_shown import showing
    from s2s_training.runs.run_folder import RunFolder
    from s2s_training.runs.side_by_side import train_side_by_side

    how = [flag for flag, given in (("--resume", settings.resume), ("--force", settings.force)) if given]
    with showing(settings.run, list(runs)) as tell:
        train_side_by_side(runs, settings.jobs, how, tell)
    return lambda _, folder: RunFolder(folder).read_summary()


def _require_data(config: TrainingConfig, settings: TrainSettings) -> None:
    """Check that the data is there.

    Raises:
        DataNotFoundError: it isn't; of a resumed run the working folder may be another than then.
    """
    from s2s_training.data.datasets import require_data

    try:
        require_data(config)
    except DataNotFoundError as error:
        if not settings.resume:
            raise
        advice = f"{settings.run} has its paths as they were given: resume it in the folder where it was started"
        raise DataNotFoundError(f"{error}; {advice}") from error


def main() -> None:
    """Run the command."""
    app()

"""What s2s-train is asked beside the options of a run, which `s2s_training.config` declares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from s2s_runtime.declared_options import Option


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """The options that say which run it is, where it is written, and what is printed of it."""

    run: Annotated[Path, Option(flags=("--output", "-o"), metavar="RUN")]
    """Folder of the run, to be made."""

    config: Annotated[Path | None, Option(metavar="FILE")] = None
    """TOML file of options, such as RUN/config.toml."""

    seeds: Annotated[str | None, Option(metavar="N,N,...")] = None
    """A run for each, in RUN/seed-N; mean and spread."""

    vary: Annotated[str | None, Option(metavar="OPTIONS")] = None
    """A run for each combination, such as "units=64,128 cell=gru,lstm"; a table of all."""

    jobs: Annotated[int, Option(at_least=1)] = 1
    """Runs of --seeds and --vary side by side, each with its share of the cores."""

    tutorial: Annotated[bool, Option(flags=["--tutorial"])] = False
    """The published Keras character translator."""

    resume: Annotated[bool, Option(flags=["--resume"])] = False
    """Continue an interrupted run; RUN knows its options. With DATA a run is started where there is none."""

    force: Annotated[bool, Option(flags=["--force"])] = False
    """Replace the run in the folder; other files stay."""

    as_json: Annotated[bool, Option(flags=["--json"])] = False
    """Print the summary as JSON."""

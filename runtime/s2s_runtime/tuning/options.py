"""The options of s2s-tune."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from s2s_runtime.commands.evaluate import PairOptions
from s2s_runtime.declared_options import Option
from s2s_runtime.tuning.terms import Metric, Search


@dataclass(frozen=True, kw_only=True)
class TuneOptions(PairOptions):
    """The options of s2s-tune."""

    bundle: Annotated[Path, Option(positional=True, metavar="BUNDLE")]
    """Folder written by s2s-export."""

    pairs: Annotated[Path, Option(positional=True, metavar="PAIRS")]
    """TSV file of development data: source, right target, further right targets."""

    tried: Annotated[Sequence[str], Option(flags=["--try"], metavar="NAME=VALUES")] = ()
    """Values of a decoding option: some with commas between them, FROM:TO:STEP, or FROM:TO to draw from. Repeatable."""

    first_target: Annotated[bool, Option()] = False
    """Columns after the second are no right targets."""

    metric: Annotated[Metric, Option()] = "wer"
    """What is to be best: wrong sequences (wer), wrong tokens (per), BLEU or chrF, which need s2s-runtime[evaluate]."""

    search: Annotated[Search, Option()] = "grid"
    """All combinations, or --trials of them at random."""

    trials: Annotated[int | None, Option(at_least=1)] = None
    """With --search random: how many combinations are tried; default: 20."""

    seed: Annotated[int, Option(at_least=0)] = 0
    """With --search random: another one draws others."""

    jobs: Annotated[int | None, Option(at_least=1)] = None
    """Combinations tried at the same time, each on one core; default: as many as there are cores."""

    output: Annotated[Path | None, Option(flags=("--output", "-o"), metavar="FILE.jsonl")] = None
    """Write each trial here as it ends. What the file holds already isn't tried again: a command that was ended goes
    on where it is given once more."""

    force: Annotated[bool, Option()] = False
    """Replace what --output holds."""

    picture: Annotated[Path | None, Option(metavar="FILE")] = None
    """Draw the trials over the values of each option (.png, .svg, .pdf)."""

    as_json: Annotated[bool, Option(flags=["--json"])] = False
    """Write one JSON object."""

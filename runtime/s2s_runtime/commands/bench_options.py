"""The options of s2s-bench, each declared once: name, type, help, panel."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from s2s_runtime.commands.console import FALLBACK_HELP, THREADS_HELP, typer

_MODES: Final = "Instead of latencies"
_SETTINGS: Final = "Settings (several values, separated by commas)"
_SOURCES: Final = "Sources"
_EFFORT: Final = "Effort"
_OUTPUT: Final = "Output"


class Axis(StrEnum):
    """What --sweep takes."""

    BATCH = "batch"
    BEAM = "beam"
    ENGINE = "engine"
    THREADS = "threads"
    WORKERS = "workers"
    PROVIDER = "provider"


Bundle = Annotated[
    Path | None, typer.Argument(metavar="BUNDLE", help="Folder written by s2s-export.", show_default=False)
]
Against = Annotated[
    Path | None, typer.Option(help="Another bundle, timed in turn with BUNDLE; ratios with 95% confidence.")
]
ColdStart = Annotated[
    bool,
    typer.Option(
        "--cold-start",
        help="Fresh processes until their first result, beside onnxruntime alone with the same graphs.",
        rich_help_panel=_MODES,
    ),
]
Memory = Annotated[
    bool,
    typer.Option(
        "--memory",
        help="Memory of fresh processes beyond onnxruntime alone, in multiples of the weights (Linux).",
        rich_help_panel=_MODES,
    ),
]
Compare = Annotated[
    tuple[Path, Path] | None,
    typer.Option(
        help="Two files of --json: the second against the first; no BUNDLE.",
        metavar="BEFORE AFTER",
        show_default=False,
        rich_help_panel=_MODES,
    ),
]
BatchSize = Annotated[str, typer.Option(help="Sentences in a batch.", rich_help_panel=_SETTINGS)]
BeamSize = Annotated[str, typer.Option(help="Beam sizes; 1 = greedy.", rich_help_panel=_SETTINGS)]
Engine = Annotated[str, typer.Option(help="auto, graph or steps; see s2s-decode.", rich_help_panel=_SETTINGS)]
Threads = Annotated[str | None, typer.Option(help=THREADS_HELP, rich_help_panel=_SETTINGS)]
Workers = Annotated[
    str | None,
    typer.Option(
        help="Batches of a list decoded at the same time, as with --whole, from eight of them or 128 rows (sentences "
        "times beams) on; default: one per core, for small models.",
        show_default=False,
        rich_help_panel=_SETTINGS,
    ),
]
Provider = Annotated[
    list[str] | None,
    typer.Option(
        help="Execution providers, such as cpu or cuda. Repeated: one setting's order of preference.",
        rich_help_panel=_SETTINGS,
    ),
]
Sweep = Annotated[
    list[Axis] | None,
    typer.Option(help="Every value of this setting that makes sense here; may be repeated.", rich_help_panel=_SETTINGS),
]
AllowFallback = Annotated[
    bool,
    typer.Option(
        "--allow-fallback",
        help=FALLBACK_HELP,
        rich_help_panel=_SETTINGS,
    ),
]
Text = Annotated[
    Path | None,
    typer.Option(help="Decode the lines of this file; without it, random sources.", rich_help_panel=_SOURCES),
]
Whole = Annotated[
    bool,
    typer.Option(
        "--whole",
        help="Each run decodes all of --text, sorted by length and cut into batches.",
        rich_help_panel=_SOURCES,
    ),
]
SourceLength = Annotated[
    int, typer.Option(min=1, help="Longest random source, in tokens or steps.", rich_help_panel=_SOURCES)
]
Repeats = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Batches timed in each setting (30; with --whole 6 runs), or processes (--cold-start 10, --memory 6).",
        show_default=False,
        rich_help_panel=_EFFORT,
    ),
]
Rounds = Annotated[
    int,
    typer.Option(
        min=1, help="Visits of each setting, in turn, over which repeats are spread.", rich_help_panel=_EFFORT
    ),
]
WarmUp = Annotated[
    int, typer.Option(min=1, help="Batches of each setting decoded before any is timed.", rich_help_panel=_EFFORT)
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Write one JSON object instead of tables.", rich_help_panel=_OUTPUT)
]
Plot = Annotated[
    Path | None,
    typer.Option(help="Draw latency and throughput into this file (.png, .svg, .pdf).", rich_help_panel=_OUTPUT),
]

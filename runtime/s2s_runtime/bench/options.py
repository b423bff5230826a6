"""The options of s2s-bench; those that make settings take several values each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from s2s_runtime.declared_options import Option

MODES: Final = "Instead of latencies"
SETTINGS: Final = "Settings (several values, separated by commas)"
SOURCES: Final = "Sources"
EFFORT: Final = "Effort"
OUTPUT: Final = "Output"

COMPARE, COLD_START, MEMORY = "compare", "cold_start", "memory"
PROCESSES: Final = (COLD_START, MEMORY)
EVERY_MODE: Final = (COMPARE, COLD_START, MEMORY)

Axis = Literal["batch", "beam", "engine", "threads", "workers", "provider"]


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """The options that say what s2s-bench measures, and how; `verbs` are modes beside latency that take an option."""

    bundle: Annotated[Path | None, Option(positional=True, metavar="BUNDLE", verbs=PROCESSES)] = None
    """Folder written by s2s-export."""

    against: Annotated[Path | None, Option()] = None
    """Another bundle, timed in turn with BUNDLE; ratios with 95% confidence."""

    cold_start: Annotated[bool, Option(panel=MODES, verbs=(COLD_START,))] = False
    """Fresh processes until their first result, beside onnxruntime alone with the same graphs."""

    memory: Annotated[bool, Option(panel=MODES, verbs=(MEMORY,))] = False
    """Memory of fresh processes beyond onnxruntime alone, in multiples of the weights (Linux)."""

    compare: Annotated[tuple[Path, Path] | None, Option(panel=MODES, metavar="BEFORE AFTER", verbs=(COMPARE,))] = None
    """Two files of --json: the second against the first; no BUNDLE."""

    batch_size: Annotated[str, Option(panel=SETTINGS, verbs=(MEMORY,))] = "1,8,32"
    """Sentences in a batch."""

    beam_size: Annotated[str, Option(panel=SETTINGS, verbs=(MEMORY,))] = "1,5"
    """Beam sizes; 1 = greedy."""

    engine: Annotated[str, Option(panel=SETTINGS)] = "auto"
    """auto, graph or steps; see s2s-decode."""

    threads: Annotated[str | None, Option(panel=SETTINGS, verbs=PROCESSES)] = None
    """Threads inside an operator; default: one per core, one alone where a step is short."""

    workers: Annotated[str | None, Option(panel=SETTINGS, verbs=(MEMORY,))] = None
    """Batches of a list decoded at the same time, as with --whole, from eight of them or 64 rows (sentences times
    beams) on; default: one per core, for small models."""

    provider: Annotated[Sequence[str] | None, Option(panel=SETTINGS, verbs=PROCESSES)] = None
    """Execution providers, such as cpu or cuda; repeated: one setting's order of preference."""

    sweep: Annotated[Sequence[Axis], Option(panel=SETTINGS)] = ()
    """Every value of this setting that makes sense here; may be repeated."""

    allow_fallback: Annotated[bool, Option(panel=SETTINGS)] = False
    """Go on with the next --provider, and at last the CPU, where one can't be had; says so on stderr."""

    low_memory: Annotated[bool, Option(panel=SETTINGS, verbs=PROCESSES)] = False
    """Hold the weights once for all graphs; a single sentence then takes up to twice as long."""

    text: Annotated[Path | None, Option(panel=SOURCES, verbs=PROCESSES)] = None
    """Decode the lines of this file; without it, random sources."""

    encoding: Annotated[str | None, Option(panel=SOURCES, metavar="NAME", verbs=PROCESSES)] = None
    """Encoding of --text, such as utf-16 or latin-1; default: UTF-8."""

    whole: Annotated[bool, Option(panel=SOURCES)] = False
    """Each run decodes all of --text, sorted by length and cut into batches."""

    source_length: Annotated[int, Option(at_least=1, panel=SOURCES, verbs=PROCESSES)] = 16
    """Longest random source, in tokens or steps."""

    repeats: Annotated[int | None, Option(at_least=1, panel=EFFORT, verbs=PROCESSES)] = None
    """Batches timed in each setting (30; with --whole 6 runs), or processes (--cold-start 10, --memory 6)."""

    rounds: Annotated[int, Option(at_least=1, panel=EFFORT)] = 10
    """Visits of each setting, in turn, over which repeats are spread."""

    warm_up: Annotated[int, Option(at_least=1, panel=EFFORT)] = 3
    """Batches of each setting decoded before any is timed."""

    as_json: Annotated[bool, Option(panel=OUTPUT, flags=["--json"], verbs=EVERY_MODE)] = False
    """Write one JSON object instead of tables."""

    plot: Annotated[Path | None, Option(panel=OUTPUT)] = None
    """Draw latency and throughput into this file (.png, .svg, .pdf)."""

"""The options of s2s-decode that say what to decode, with what, and where to; `DecodingOptions` say how."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from s2s_runtime.declared_options import Option
from s2s_runtime.options import READ_AHEAD
from s2s_runtime.options.terms import FILES, LISTS, RUNNING, SCORE
from s2s_runtime.options.types import Combination, Mean

RecordKind = Literal["jsonl", "tsv", "csv"]
MODES: Final = "Instead of decoding"


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """The options that say how a command loads its bundle."""

    ensemble_with: Annotated[Sequence[Path], Option(panel=RUNNING, metavar="BUNDLE")] = ()
    """Decode together with this bundle; may be repeated."""

    ensemble_mean: Annotated[Mean, Option(panel=RUNNING)] = "probabilities"
    """What an ensemble averages."""

    ensemble_combine: Annotated[Combination, Option(panel=RUNNING)] = "steps"
    """Where the models of an ensemble meet: at each token, or each searches by itself and all choose among the
    hypotheses."""

    ensemble_weight: Annotated[Sequence[float], Option(panel=RUNNING)] = ()
    """How much a model of an ensemble counts: once for BUNDLE, then for each --ensemble-with; default: the same."""

    provider: Annotated[Sequence[str] | None, Option(panel=RUNNING)] = None
    """Execution provider, such as cpu or cuda; may be repeated, in order of preference."""

    allow_fallback: Annotated[bool, Option(panel=RUNNING)] = False
    """Go on with the next --provider, and at last the CPU, where one can't be had; says so on stderr."""

    low_memory: Annotated[bool, Option(panel=RUNNING)] = False
    """Hold the weights once for all graphs; a single sentence then takes up to twice as long."""

    threads: Annotated[int | None, Option(at_least=1, panel=RUNNING)] = None
    """Threads inside an operator; default: one per core, one alone where a step is short."""

    output_name: Annotated[str | None, Option(panel=RUNNING, metavar="NAME")] = None
    """Of a model of several outputs this one alone; all options then mean it."""


@dataclass(frozen=True, kw_only=True)
class LineOptions(LoadOptions):
    """The options that say how lines are read and decoded, whatever is made of them."""

    workers: Annotated[int | None, Option(at_least=1, group=LISTS, panel=RUNNING)] = None
    """Batches decoded at the same time; default: one per core, for small models."""

    read_ahead: Annotated[int, Option(at_least=1, group=LISTS, panel=RUNNING)] = READ_AHEAD
    """Most lines read before the first of them is written."""


@dataclass(frozen=True, kw_only=True)
class DecodeSettings:
    """The options of s2s-decode beside those that say how to decode."""

    bundle: Annotated[Path, Option(verbs=SCORE, positional=True, metavar="BUNDLE")]
    """Folder or zip file written by s2s-export."""

    texts: Annotated[Sequence[str], Option(verbs=SCORE, positional=True, metavar="TEXT")] = ()
    """What to decode; without any, the lines of standard input."""

    input: Annotated[Path | None, Option(verbs=SCORE, panel=FILES, flags=("--input", "-i"))] = None
    """Decode the lines of this file."""

    encoding: Annotated[str | None, Option(verbs=SCORE, panel=FILES, metavar="NAME")] = None
    """Encoding of --input or standard input, such as utf-16 or latin-1; default: UTF-8."""

    known: Annotated[Path | None, Option(panel=FILES, metavar="FILE.npz")] = None
    """What the decoder reads step by step, known in advance: numpy's arrays by name, a row for each text."""

    output: Annotated[Path | None, Option(verbs=SCORE, panel=FILES, flags=("--output", "-o"))] = None
    """Write into this file instead of standard output."""

    resume: Annotated[bool, Option(verbs=SCORE, panel=FILES)] = False
    """Go on behind the lines that --output holds."""

    force: Annotated[bool, Option(verbs=SCORE, panel=FILES)] = False
    """Replace what --output holds."""

    as_json: Annotated[bool, Option(verbs=SCORE, panel=FILES, flags=["--json"])] = False
    """Write one JSON object per text."""

    records: Annotated[RecordKind | None, Option(panel=FILES)] = None
    """Lines are records of which one field is decoded; the others pass: JSON objects, or rows with tabs or commas."""

    column: Annotated[str | None, Option(panel=FILES, metavar="NAME")] = None
    """With --records: the field to decode (default: text), or the number of a column (default: 1); where a column is
    named, the first line has the names."""

    moses: Annotated[bool, Option(panel=FILES)] = False
    """Write n-best lists as Moses does: number ||| text ||| features ||| score."""

    phonetisaurus: Annotated[bool, Option(panel=FILES)] = False
    """Write lines as Phonetisaurus does: text, cost and output, with tabs between them; the cost is the negative
    log-probability."""

    alignment: Annotated[bool, Option(panel=FILES)] = False
    """Write behind each text which source token each of its tokens attended to, as Pharaoh does: ||| 0-0 1-1."""

    attention_plot: Annotated[Path | None, Option(panel=FILES)] = None
    """Draw the attention of one text into this file (.png, .svg, .pdf)."""

    keep_empty: Annotated[bool, Option(panel=FILES)] = False
    """Answer an empty line with an empty line; otherwise it is an error."""

    stream: Annotated[bool, Option(panel=MODES)] = False
    """Write each text as it comes, token by token."""

    score: Annotated[bool, Option(verbs=SCORE, panel=MODES)] = False
    """Texts are pairs, source TAB target: write how likely each target is."""

    follow: Annotated[bool, Option(panel=MODES)] = False
    """Each line is one reading of a causal model of one pass, and is answered before the next is read; an empty line
    begins a new sequence."""

    interactive: Annotated[bool, Option(panel=MODES)] = False
    """Ask for texts at a prompt with history."""


def ensemble_problems(given: LoadOptions, typed: Mapping[str, str]) -> list[str]:
    """Return the options of an ensemble that were typed where there is one bundle, a line for each.

    Args:
        given: the settings.
        typed: the options that were typed, as `--help` spells them, by name.
    """
    names = ("ensemble_mean", "ensemble_combine", "ensemble_weight")
    own = [typed[name] for name in names if name in typed and not given.ensemble_with]
    return [f"{option}: needs --ensemble-with" for option in own]


def format_problems(given: DecodeSettings, *, several: bool, scores: bool) -> list[str]:
    """Return what the ways to read and to write lines have against each other, one line for each problem.

    Args:
        given: the settings.
        several: whether there may be several hypotheses for a text.
        scores: whether --scores was given.
    """
    modes = {f"--{name}": getattr(given, name) for name in ("stream", "score", "interactive")}
    rows = given.records in ("tsv", "csv")
    names = rows and not (given.column or "1").isdigit()
    beside_records = {
        "TEXT": bool(given.texts),
        **modes,
        "--moses": given.moses,
        "--phonetisaurus": given.phonetisaurus,
        "--alignment": given.alignment,
        "--num-hypotheses, as a row has one output": rows and several and not given.as_json,
        "--resume, as the first line has names": names and given.resume,
        "--known": given.known is not None,
        "--json with rows, unless --column names one": rows and given.as_json and not names,
    }
    beside_both = {**modes, "--json": given.as_json, "--attention-plot": given.attention_plot is not None}
    beside_moses = {**beside_both, "--scores": scores, "--resume": given.resume}
    against = {
        "--records": beside_records if given.records is not None else {},
        "--moses": beside_moses if given.moses else {},
        "--phonetisaurus": {**beside_moses, "--moses": given.moses} if given.phonetisaurus else {},
        "--alignment": {**beside_both, "--phonetisaurus": given.phonetisaurus} if given.alignment else {},
    }
    problems = ["--column: needs --records"] if given.column is not None and given.records is None else []
    return problems + [
        f"{option}: expected no {other} beside it"
        for option, others in against.items()
        for other, is_given in others.items()
        if is_given
    ]

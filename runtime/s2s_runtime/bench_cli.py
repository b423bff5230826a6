"""The command s2s-bench."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

from s2s_runtime.console import AllowFallback, Providers, Threads, make_app, one_line_errors, typer, warn_of_fallback
from s2s_runtime.errors import InputError, OptionError

if TYPE_CHECKING:
    from s2s_runtime.bench import Case, Measurement, Setting
    from s2s_runtime.model import Model
    from s2s_runtime.options import Engine

app = make_app()

EPILOG = """
**Examples**

`s2s-bench model.s2s`

`s2s-bench model.s2s --batch-size 1,8,64 --beam-size 1,5 --text sentences.txt`

`s2s-bench model.s2s --engine graph,steps`

`s2s-bench model.s2s --threads 1 --repeats 200 --json > bench.json`

`s2s-bench model.s2s --plot latency.png`
"""


@app.command(epilog=EPILOG)
def bench(
    bundle: Annotated[Path, typer.Argument(help="Folder written by s2s-export.")],
    batch_size: Annotated[str, typer.Option(help="Sentences in a batch; several, separated by commas.")] = "1,8,32",
    beam_size: Annotated[str, typer.Option(help="Beam sizes, separated by commas; 1 = greedy.")] = "1,5",
    engine: Annotated[
        str, typer.Option(help="auto, graph or steps (see s2s-decode); several, separated by commas.")
    ] = "auto",
    text: Annotated[
        Path | None, typer.Option(help="Decode the lines of this file; without it, random sources.")
    ] = None,
    source_length: Annotated[int, typer.Option(min=1, help="Longest random source, in tokens or steps.")] = 16,
    repeats: Annotated[int, typer.Option(min=1, help="Batches timed for each combination.")] = 30,
    warm_up: Annotated[int, typer.Option(min=0, help="Batches decoded before, untimed.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object instead of a table.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw latencies into this file (.png, .svg, .pdf).")] = None,
    provider: Providers = None,
    allow_fallback: AllowFallback = False,
    threads: Threads = None,
) -> None:
    """Measure how fast a bundle decodes here.

    Reports the latency of a batch (median, 90th and 99th percentile) and sentences and tokens per second, for each
    combination of batch size, beam size and engine. Loading is timed apart.
    """
    with one_line_errors():
        batch_sizes, beam_sizes = _numbers("--batch-size", batch_size), _numbers("--beam-size", beam_size)
        engines = _engines(engine)
        lines = None if text is None else _lines(text)
        from s2s_runtime.bench import Case, describe_setting, random_sources, timed_load

        model, load_seconds = timed_load(bundle, provider, threads, allow_fallback)
        warn_of_fallback(provider, model.provider)
        sources = random_sources(model.manifest, 256, source_length) if lines is None else lines
        named = str(text) if text is not None else f"random, up to {source_length} long"
        setting = describe_setting(bundle, named, model, load_seconds, threads)
        if model.manifest.target.feedback == "value":
            beam_sizes, engines = [1], ["auto"]
        cases = [Case(*each) for each in product(batch_sizes, beam_sizes, engines)]
        cases.sort(key=lambda case: (case.beam_size, case.batch_size))
        measured = _measure(model, sources, cases, repeats, warm_up)
        if as_json:
            found = {**setting.to_dict(), "measurements": [asdict(each) for each in measured]}
            typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
        else:
            _print(setting, measured)
        if plot is not None:
            from s2s_runtime.plots import plot_latency

            plot_latency(measured, plot)


def _numbers(option: str, text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise OptionError(f"{option}: expected numbers of at least 1 separated by commas, such as 1,8,32; got {text!r}")
    return numbers


def _engines(text: str) -> list[Engine]:
    from s2s_runtime.options import Engine

    names, known = text.split(","), get_args(Engine)
    if not set(names) <= set(known):
        raise OptionError(f"--engine: expected any of {', '.join(known)}, separated by commas; got {text!r}")
    return [cast("Engine", name) for name in names]


def _lines(path: Path) -> list[str]:
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file in UTF-8: {error}") from error
    if not lines:
        raise InputError(f"{path}: expected at least one line of text, got none")
    return lines


def _measure(
    model: Model, sources: Sequence[object], cases: Sequence[Case], repeats: int, warm_up: int
) -> list[Measurement]:
    """Measure each case, with progress on stderr."""
    from rich.console import Console
    from rich.progress import track

    from s2s_runtime.bench import measure

    console = Console(stderr=True)
    return [
        measure(model, sources, case, repeats=repeats, warm_up=warm_up)
        for case in track(cases, "measuring", console=console, transient=True, disable=not console.is_terminal)
    ]


def _print(setting: Setting, measured: Sequence[Measurement]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    threads = "one per core" if setting.threads is None else str(setting.threads)
    versions = ", ".join(f"{name} {number}" for name, number in setting.versions.items())
    console.print(f"bundle    {setting.bundle} (inputs: {setting.inputs})", highlight=False, soft_wrap=True)
    console.print(f"provider  {setting.provider}, threads: {threads}", highlight=False, soft_wrap=True)
    console.print(f"cpu       {setting.cpu}, {setting.cores} cores", highlight=False, soft_wrap=True)
    console.print(f"versions  {versions}", highlight=False, soft_wrap=True)
    console.print(f"load      {setting.load_seconds:.3f} s (not part of the latencies)", highlight=False)
    table = Table()
    engines = {each.engine for each in measured}
    for heading in (
        "batch",
        "beam",
        *(["engine"] if len(engines) > 1 else []),
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "sent./s",
        "tokens/s",
        "tokens/sent.",
    ):
        table.add_column(heading, justify="right")
    for each in measured:
        table.add_row(
            str(each.batch_size),
            str(each.beam_size),
            *([each.engine] if len(engines) > 1 else []),
            *(f"{value:.2f}" for value in (each.p50_ms, each.p90_ms, each.p99_ms)),
            *(f"{value:,.0f}" for value in (each.sentences_per_second, each.tokens_per_second)),
            f"{each.tokens_per_sentence:.1f}",
        )
    console.print(table)


def main() -> None:
    """Run the command."""
    app()

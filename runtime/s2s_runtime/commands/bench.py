"""The command s2s-bench."""

from __future__ import annotations

from s2s_runtime.commands import bench_options as o
from s2s_runtime.commands.console import command, make_app, typed_options, typer

app = make_app()

EPILOG = """
**Examples**

`s2s-bench model.s2s`

`s2s-bench model.s2s --batch-size 1,8,64 --beam-size 1,5 --text sentences.txt`

`s2s-bench model.s2s --text sentences.txt --whole --batch-size 32,64,128`

`s2s-bench model.s2s --text sentences.txt --whole --sweep workers`

`s2s-bench model.s2s --sweep threads --sweep engine --plot sweep.png`

`s2s-bench model.s2s --threads 1 --repeats 200 --json > bench.json`

`s2s-bench model.s2s --cold-start`

`s2s-bench model.s2s --memory`

`s2s-bench new.s2s --against old.s2s --beam-size 1`

`s2s-bench --compare before.json after.json`
"""


@command(app, epilog=EPILOG)
def bench(
    context: typer.Context,
    bundle: o.Bundle = None,
    against: o.Against = None,
    cold_start: o.ColdStart = False,
    memory: o.Memory = False,
    compare: o.Compare = None,
    batch_size: o.BatchSize = "1,8,32",
    beam_size: o.BeamSize = "1,5",
    engine: o.Engine = "auto",
    threads: o.Threads = None,
    workers: o.Workers = None,
    provider: o.Provider = None,
    sweep: o.Sweep = None,
    allow_fallback: o.AllowFallback = False,
    text: o.Text = None,
    whole: o.Whole = False,
    source_length: o.SourceLength = 16,
    repeats: o.Repeats = None,
    rounds: o.Rounds = 10,
    warm_up: o.WarmUp = 3,
    as_json: o.AsJson = False,
    plot: o.Plot = None,
) -> None:
    """Measure how fast a bundle decodes here.

    Reports the latency of a batch (median, middle half, 90th and 99th percentile) and sentences and tokens per second,
    for each combination of settings, visited in turn; loading is timed apart. Or cold starts, memory, or how two
    results differ.

    Exits with 0, 1 where it failed, 2 for wrong usage.
    """
    given = locals()  # every option by its name, for the request
    from s2s_runtime.bench.command import Request, run

    del given["context"]
    run(Request(**given, typed=typed_options(context)))


def main() -> None:
    """Run the command."""
    app()

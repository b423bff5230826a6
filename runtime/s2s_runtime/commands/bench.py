"""The command s2s-bench."""

from __future__ import annotations

from s2s_runtime.bench.options import BenchOptions
from s2s_runtime.commands.command_options import Given, takes
from s2s_runtime.console.app import command, make_app

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
@takes(BenchOptions)
def bench(given: Given) -> None:
    """Measure how fast a bundle decodes here.

    Reports the latency of a batch (median, middle half, 90th percentile and, from 100 runs on, the 99th, else the
    longest run) and sentences and tokens per second, for each combination of settings, visited in turn; loading is
    timed apart. Or cold starts, memory, or how two results differ. Says so where other programs use the processor.

    Exits with 0, 1 where it failed, 2 for wrong usage.
    """
    from s2s_runtime.bench.command import Request, run

    run(Request(**given.of(BenchOptions), typed=given.typed))


def main() -> None:
    """Run the command."""
    app()

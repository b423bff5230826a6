"""Does it pay that waiting sentences take the places of ended ones? For lists, and for sentences that come one by one.

`python benchmarks/continuous.py BUNDLE TEXT`: both ways in turn, in one process. Lists: the lines of TEXT, and the same
with longest lengths of heavy spread, nothing ending before. Arrivals: the same at random times (Poisson), decoded by a
`Decoder`; what counts there is the time from coming to the result.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer

import s2s_runtime
from s2s_runtime.bench import cpu_name
from s2s_runtime.inputs.batches import make_batches
from s2s_runtime.inputs.sources import read_sources
from s2s_runtime.options import Batching, OptionValues
from s2s_runtime.search.engines import answers

WAYS: Final[tuple[Batching, Batching]] = ("static", "continuous")
SHORT, LONG, LONG_SHARE = 20, 160, 0.1  # tokens, and how many sentences have the longer
MOST: Final = 32  # of those that come one by one, decoded at once


def continuous(
    bundle: Path,
    text: Annotated[Path, typer.Argument(help="Sources, one a line.")],
    *,
    sentences: Annotated[int, typer.Option(min=1, help="Lines taken, at random.")] = 1000,
    batch_size: Annotated[str, typer.Option(help="Of lists, separated by commas.")] = "8,16,32,64,256",
    beam_size: Annotated[str, typer.Option(help="Beam sizes, separated by commas.")] = "1,5",
    loads: Annotated[str, typer.Option(help="Arrivals, as shares of what lists of 32 get done.")] = "0.1,0.3,0.6,0.9",
    rounds: Annotated[int, typer.Option(min=1, help="Visits of each way.")] = 9,
    threads: Annotated[int, typer.Option(min=1, help="Inside an operator.")] = 1,
    output: Annotated[Path | None, typer.Option(help="JSON to write; else it goes to standard output.")] = None,
) -> None:
    """Compare batch after batch with continuous batching."""
    lines = text.read_text(encoding="utf-8").splitlines()
    chosen = random.Random(0).sample(lines, min(sentences, len(lines)))
    found: list[dict[str, Any]] = []
    with s2s_runtime.load(bundle, intra_op_threads=threads) as model:
        for beam in map(int, beam_size.split(",")):
            options: OptionValues = {"beam_size": beam}
            for size in map(int, batch_size.split(",")):
                for kind, run in (("lines", generate), ("heavy spread", spread)):
                    say(f"beam {beam}, lists in batches of {size}, {kind}")
                    about = {"beam_size": beam, "kind": kind, "batch_size": size}
                    found.append(
                        about | compare(timed(run, model, chosen, {**options, "max_batch_size": size}), rounds)
                    )
            for kind, (taken, more) in arriving(chosen).items():
                given: OptionValues = {**options, **more, "max_batch_size": MOST}
                rate = len(taken) / timed(generate, model, taken, given)("static")
                for load in map(float, loads.split(",")):
                    say(f"beam {beam}, {kind}, {load:g} of {rate:.0f} sentences a second")
                    about = {"beam_size": beam, "kind": kind, "load": load, "per_second": rate * load}
                    found.append(about | arrivals(model, taken, rate * load, given, rounds))
    machine = {"cpu": cpu_name(), "threads": threads, "rounds": rounds, "sentences": len(chosen)}
    written = json.dumps({"bundle": bundle.name, "text": text.name, **machine, "measured": found}, indent=1) + "\n"
    if output is None:
        sys.stdout.write(written)
    else:
        output.write_text(written, encoding="utf-8")


def arriving(lines: list[str]) -> dict[str, tuple[list[str], OptionValues]]:
    """What comes one by one: lines as they are, and cut so that the lengths of what is written are of heavy spread."""
    is_long = np.random.default_rng(0).random(len(lines)) < LONG_SHARE
    cut = [line[:16].ljust(16, "e") if long else line[:2] for line, long in zip(lines, is_long, strict=True)]
    spread_out: OptionValues = {"end_tokens": [], "max_length": LONG, "max_length_ratio": LONG / 16}
    return {"arrivals": (lines, {}), "arrivals, heavy spread": (cut, spread_out)}


def generate(model: s2s_runtime.Model, lines: list[str], options: OptionValues, batching: Batching) -> list[list[int]]:
    """The lines as they are."""
    return [result.ids for result in model.generate(lines, **options, batching=batching, unknown_symbols="skip")]


def spread(model: s2s_runtime.Model, lines: list[str], options: OptionValues, batching: Batching) -> list[list[int]]:
    """The lines with longest lengths of heavy spread that have nothing to do with those of the sources."""
    decoding = model.prepare(**options, batching=batching, end_tokens=[], max_length=LONG, unknown_symbols="skip")
    is_long = np.random.default_rng(0).random(len(lines)) < LONG_SHARE
    sources = read_sources(lines, model.manifest, "skip")
    batches = [
        replace(batch, limits=np.where(is_long[batch.indices], LONG, SHORT))
        for batch in make_batches(sources, [[]] * len(lines), decoding.options, model.manifest)
    ]
    found = {
        int(batch.indices[place]): ended[0].ids
        for batch, place, ended in answers(decoding.model, batches, decoding.plan, decoding.options)
    }
    return [found[place] for place in sorted(found)]


def timed(
    run: Callable[..., list[list[int]]], model: s2s_runtime.Model, lines: list[str], options: OptionValues
) -> Callable[[Batching], float]:
    """A visit: seconds, of the clock, and the tokens compared with those of batch after batch."""
    expected = run(model, lines, options, "static")

    def visit(batching: Batching) -> float:
        start = time.perf_counter()
        found = run(model, lines, options, batching)
        seconds = time.perf_counter() - start
        if found != expected:
            wrong = sum(one != other for one, other in zip(found, expected, strict=True))
            say(f"{batching}: {wrong} of {len(lines)} sentences differ (near ties)")
        return seconds

    return visit


def compare(visit: Callable[[Batching], float], rounds: int) -> dict[str, Any]:
    """Seconds of both ways in turn, and how many times as long batch after batch takes."""
    seconds: dict[Batching, list[float]] = {way: [] for way in WAYS}
    for turn in range(rounds):
        for way in WAYS if turn % 2 else WAYS[::-1]:
            seconds[way].append(visit(way))
    ratios = np.divide(seconds["static"], seconds["continuous"])
    return {"seconds": {way: quarters(each) for way, each in seconds.items()}, "speedup": quarters(ratios)}


def arrivals(
    model: s2s_runtime.Model, lines: list[str], rate: float, options: OptionValues, rounds: int
) -> dict[str, Any]:
    """Milliseconds that sentences take from coming to their result: median and 95th percentile, of each visit."""
    gaps = np.random.default_rng(0).exponential(1 / rate, len(lines))
    latencies: dict[Batching, list[list[float]]] = {way: [] for way in WAYS}
    for turn in range(rounds):
        for way in WAYS if turn % 2 else WAYS[::-1]:
            latencies[way].append(np.percentile(_latencies(model, lines, gaps, options, way), [50, 95]).tolist())
    found: dict[str, Any] = {}
    for i, name in enumerate(("median", "95th")):
        both = {way: [each[i] for each in visits] for way, visits in latencies.items()}
        ratio = np.divide(both["static"], both["continuous"])
        found[f"{name}_ms"] = {way: quarters(each) for way, each in both.items()}
        found[f"{name}_speedup"] = quarters(ratio)
    return found


def _latencies(
    model: s2s_runtime.Model, lines: list[str], gaps: np.ndarray, options: OptionValues, way: Batching
) -> list[float]:
    ended: dict[Future[s2s_runtime.Result], float] = {}
    came: dict[Future[s2s_runtime.Result], float] = {}
    decoder = s2s_runtime.Decoder(model, **options, batching=way, max_waiting=len(lines), unknown_symbols="skip")
    with decoder:
        due = time.perf_counter()
        for line, gap in zip(lines, gaps.tolist(), strict=True):
            due += gap
            time.sleep(max(0.0, due - time.perf_counter()))
            future = decoder.submit(line)
            came[future] = due
            future.add_done_callback(lambda done: ended.setdefault(done, time.perf_counter()))
    return [1000 * (ended[future] - start) for future, start in came.items()]


def quarters(values: Any) -> dict[str, float]:
    """Median and middle half."""
    low, middle, high = np.percentile(values, [25, 50, 75]).tolist()
    return {"median": middle, "from": low, "to": high}


def say(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    typer.run(continuous)

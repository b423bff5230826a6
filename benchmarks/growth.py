"""Whether time per token stays the same as batches and lists grow: the runtime alone, greedy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from compare import canonical_bundle
from measuring.in_process import circumstances
from problems.canonical import PADDING_ID, SOURCE_LENGTH, SOURCE_SIZE, STEPS
from report.markdown import RESULTS
from report.own_tables import growth_tables
from report.targets import publish
from rich.console import Console

import s2s_runtime
from s2s_runtime.bench.axes import numbers
from s2s_runtime.console.app import one_line_errors

LIST_BATCH = 256


def growth(
    *,
    batch_size: Annotated[str, typer.Option(help="Sentences in a batch, separated by commas.")] = "256,1024,4096",
    sentences: Annotated[
        str, typer.Option(help="Sentences in a list, separated by commas; 1000000 takes some ten minutes a round.")
    ] = "1000,10000,100000",
    rounds: Annotated[int, typer.Option(min=1, help="How often each list is decoded.")] = 2,
    batch_rounds: Annotated[int, typer.Option(min=1, help="How often each batch is decoded.")] = 7,
    output: Annotated[Path, typer.Option(help="JSON to write.")] = RESULTS / "growth.json",
    tables: Annotated[bool, typer.Option(help="Renew the table of README.md.")] = True,
) -> None:
    """Time batches and lists of growing size, and write JSON and tables.

    The canonical translator with random weights writes exactly 30 tokens for each sentence. A batch is one call; a
    list goes through `generate_iter`, in batches of 256, as a long file would. Sizes take turns in every round.
    """
    with one_line_errors():
        batches, lists = numbers("--batch-size", batch_size), numbers("--sentences", sentences)
    console = Console(stderr=True)
    with (
        console.status("preparing the model and its bundle") as status,
        canonical_bundle() as bundle,
        s2s_runtime.load(bundle) as model,
    ):
        grown = {
            "batches": _rounds(_batch(model), batches, batch_rounds, status.update),
            "lists": _rounds(_list(model), lists, rounds, status.update),
        }
    results = {
        **circumstances(),
        "model": f"the canonical translator with random weights, {SOURCE_LENGTH} in, {STEPS} out",
        "rounds": f"{batch_rounds} and {rounds}",
        "list_batch": LIST_BATCH,
        "versions": {name: version(name) for name in ("s2s-runtime", "onnxruntime", "numpy")},
        **grown,
    }
    publish(results, output, growth_tables(results), renew_readme=tables)


def _batch(model: s2s_runtime.Model) -> Callable[[int], int]:
    """Decode a batch of so many sentences and return how many tokens that were."""

    def decode(count: int) -> int:
        sources = np.concatenate(list(_sources(count)))
        results = model.generate(sources, max_length=STEPS, end_tokens=[], max_batch_size=count)
        return sum(len(result.ids) for result in results)

    return decode


def _list(model: s2s_runtime.Model) -> Callable[[int], int]:
    """Return the same for a list of so many sentences."""

    def decode(count: int) -> int:
        inputs = (row for block in _sources(count) for row in block)
        results = model.generate_iter(inputs, max_length=STEPS, end_tokens=[], max_batch_size=LIST_BATCH)
        return sum(len(result.ids) for result in results)

    return decode


def _sources(count: int) -> Iterator[np.ndarray]:
    """Random sentences of 16 characters in blocks, made as they are read."""
    random = np.random.default_rng(0)
    for place in range(0, count, 4096):
        yield random.integers(PADDING_ID + 1, SOURCE_SIZE, size=(min(4096, count - place), SOURCE_LENGTH))


def _rounds(
    decode: Callable[[int], int], sizes: list[int], rounds: int, progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Seconds per token of each size, round by round."""
    found: dict[int, list[float]] = {size: [] for size in sizes}
    decode(min(sizes))
    for turn in range(rounds):
        for size in sizes:
            progress(f"{size:,} sentences: round {turn + 1} of {rounds}")
            start = time.perf_counter()
            tokens = decode(size)
            found[size].append((time.perf_counter() - start) / tokens)
    return [{"sentences": size, "seconds_per_token": seconds} for size, seconds in found.items()]


if __name__ == "__main__":
    typer.run(growth)

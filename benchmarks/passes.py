"""What each pass of the exporter gains: bundles with all passes, without each of them, and with none, timed in turn.

    taskset -c 1 python benchmarks/passes.py --threads 1      # one core: nearly deaf to what others do
    python benchmarks/passes.py --threads 2                   # on a quiet machine

Writes `results/passes-THREADS.json` and the tables of PASSES.md. Every bundle has to give the same
tokens first.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from measuring.in_process import circumstances, fastest
from measuring.quiet import QUIET_CORES, Usage
from numpy.typing import NDArray
from report.markdown import HERE, RESULTS, write_tables
from rich.console import Console

from s2s_runtime import Model, load

NOTES = HERE / "PASSES.md"
STEPS, LENGTH = 30, 16
ALL, NONE = "all", "none"

_SLICE_SECONDS = 0.02  # one visit: shorter than a time slice of the system, where the work allows it


def translator() -> Any:
    """Return the canonical character translator: 71 and 93 one-hot symbols, LSTM of 256 units."""
    from peers.keras_tutorial import build_training_model
    from problems.canonical import random_weights

    return build_training_model(random_weights(units=256, seed=1))


def attention() -> Any:
    """Words with attention: embeddings of 2,000 symbols, GRU of 256 units, additive attention."""
    import keras
    from keras import layers

    source, target = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    embedded = layers.Embedding(2000, 128, mask_zero=True)(source)
    memory, state = layers.GRU(256, return_sequences=True, return_state=True)(embedded)
    y = layers.GRU(256, return_sequences=True)(layers.Embedding(2000, 128)(target), initial_state=state)
    keys = layers.Dense(256)(memory)
    context = layers.AdditiveAttention()([y, memory, keys])
    joined = layers.Dense(256, activation="tanh")(layers.Concatenate()([y, context]))
    return keras.Model([source, target], layers.Dense(2000, activation="softmax")(joined))


def one_hot_words() -> Any:
    """One-hot vectors of 2,000 symbols, LSTM of 128 units."""
    import keras
    from keras import layers

    source, target = keras.Input((None, 2000)), keras.Input((None, 2000))
    _, *states = layers.LSTM(128, return_state=True)(source)
    y = layers.LSTM(128, return_sequences=True)(target, initial_state=states)
    return keras.Model([source, target], layers.Dense(2000, activation="softmax")(y))


MODELS = {"translator": translator, "attention": attention, "one-hot words": one_hot_words}


def bundles(name: str, folder: Path, threads: int) -> Iterator[tuple[str, Model]]:
    """Bundles of a model with all passes, without each of those that find something, and with none."""
    import keras

    from s2s_export import ExportOptions
    from s2s_export.exporter import take_apart, write_unverified
    from s2s_export.graphs.bundle_graphs import build_graphs, with_searches
    from s2s_export.pass_names import NAMES
    from s2s_export.passes.registry import Passes

    keras.utils.set_random_seed(1)
    given = ExportOptions(start_id=1, end_ids=(2,), max_length=STEPS, source_length=LENGTH, padding="0")
    masked = ExportOptions(start_id=1, end_ids=(2,), max_length=STEPS)
    _, parts, facts = take_apart(MODELS[name](), masked if name == "attention" else given)
    wanted = {ALL: NAMES}
    while wanted:
        key, passes = wanted.popitem()
        graphs = with_searches(build_graphs(parts, facts, 18, Passes(passes)), facts)
        (folder / key).mkdir()
        write_unverified(folder / key, parts, facts, graphs)
        yield key, load(folder / key, intra_op_threads=threads)
        if key == ALL:
            found = graphs.passes.applied
            wanted = {NONE: (), **{each: tuple(n for n in found if n != each) for each in reversed(found)}}


def ratios(models: dict[str, Model], batch: int, beam: int, rounds: int) -> dict[str, list[float]]:
    """Time with each set of passes over the time with all of them, of each round.

    Raises:
        RuntimeError: two sets of passes give other tokens.
    """
    sources = sentences(batch)
    repeats, found = {}, {name: [] for name in models}
    expected = decode(models[ALL], sources, beam)
    for name, model in models.items():
        tokens = decode(model, sources, beam)
        differ = sum(a != b for a, b in zip(tokens, expected, strict=True))
        if differ > len(sources) // 50:  # random weights come near ties, which rounding decides
            raise RuntimeError(f"{name}: {differ} of {batch} sentences have other tokens than with all passes")
        repeats[name] = max(1, min(10, int(_SLICE_SECONDS / timed(model, sources, beam, 1))))
    for _ in range(rounds):
        seconds = {name: timed(model, sources, beam, repeats[name]) for name, model in models.items()}
        for name, value in seconds.items():
            found[name].append(value / seconds[ALL])
    return {name: values for name, values in found.items() if name != ALL}


def sentences(batch: int) -> NDArray[np.int64]:
    """Ids of random sentences."""
    return np.random.default_rng(2).integers(3, 71, size=(batch, LENGTH))


def decode(model: Model, sources: NDArray[np.int64], beam: int) -> list[tuple[int, ...]]:
    """Tokens of one call, the stop rule off."""
    results = model.generate(sources, beam_size=beam, max_length=STEPS, end_tokens=[], max_batch_size=len(sources))
    return [tuple(result.ids) for result in results]


def timed(model: Model, sources: NDArray[np.int64], beam: int, repeats: int) -> float:
    """Seconds of the fastest of some calls: the others were disturbed."""
    return fastest(lambda: decode(model, sources, beam), repeats)


def measure(
    *,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each session.")] = 1,
    rounds: Annotated[int, typer.Option(min=3, help="Visits of each bundle.")] = 41,
    only: Annotated[str, typer.Option(help="Models, separated by commas.")] = ",".join(MODELS),
    tables: Annotated[bool, typer.Option(help="Renew the table of PASSES.md.")] = True,
) -> None:
    """Measure what each pass gains, write JSON and a table."""
    from s2s_training.quiet_import import import_quietly

    import_quietly()
    console, rows, before = Console(stderr=True), [], Usage.read(os.getpid())
    for name in only.split(","):
        with tempfile.TemporaryDirectory() as folder:
            console.print(f"{name}: exporting")
            models = dict(bundles(name, Path(folder), threads))
            for batch, beam in ((1, 1), (32, 1), (256, 1), (1, 5)):
                console.print(f"{name}: batch {batch}, beam {beam}")
                found = ratios(models, batch, beam, max(5, rounds if batch < 256 else rounds // 4))
                rows += [
                    {"model": name, "without": k, "batch": batch, "beam": beam, "ratios": v} for k, v in found.items()
                ]
    results = {**circumstances(before), "threads": threads, "rounds": rounds, "measurements": rows}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"passes-{threads}.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    table = as_table(results)
    if tables:
        write_tables(NOTES, {f"threads-{threads}": table, "passes": the_passes()})
    print(table)


def the_passes() -> str:
    """Return what each pass does, as the exporter says it."""
    from s2s_export.pass_names import PASSES

    lines = [("pass", "graphs", "what it does", "when"), ("---",) * 4]
    lines += [(f"`{each.name}`", each.graphs, each.what, each.when) for each in PASSES]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def as_table(results: dict[str, Any]) -> str:
    """Medians, and in brackets the middle half, of a model's ratios, a line for each pass left out."""
    cells: dict[tuple[str, str], dict[tuple[int, int], str]] = {}
    for each in results["measurements"]:
        low, middle, high = statistics.quantiles(each["ratios"], n=4, method="inclusive")
        place = cells.setdefault((each["model"], each["without"]), {})
        place[each["batch"], each["beam"]] = f"{middle:.2f} ({low:.2f} to {high:.2f})"
    settings = list(dict.fromkeys((each["batch"], each["beam"]) for each in results["measurements"]))
    heads = [f"batch {batch}" + (f", beam {beam}" if beam > 1 else "") for batch, beam in settings]
    lines = [["model", "without", *heads], ["---", "---", *["---:"] * len(heads)]]
    for (model, without), row in cells.items():
        lines.append([model, "all of them" if without == NONE else f"`{without}`", *(row[key] for key in settings)])
    others = results["foreign"]
    busy = others is not None and others > QUIET_CORES
    setting = "**The machine was busy with other programs: for direction only.** " if busy else ""
    setting += f"{results['date']}; {results['cpu']}, {results['threads']} threads; {results['rounds']} rounds."
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + f"\n\n{setting}"


if __name__ == "__main__":
    typer.run(measure)

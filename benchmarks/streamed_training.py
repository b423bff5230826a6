"""Training on pairs that lie on the disk: memory and speed, against the same pairs in memory.

    python benchmarks/streamed_training.py read --pairs 20000000 --shuffle-buffer 1000000
    python benchmarks/streamed_training.py train --pairs 100000

`read` makes up pairs, does what a run does before its first step, draws every batch of two epochs, and prints the
peak of memory, TensorFlow's included. `train` trains an epoch with the pairs in memory and on the disk, at the same
time, as a machine is quicker at one time than at another; each in a process on a core of its own, the cores swapped
from round to round. It prints how many pairs a second each took behind the first steps.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FILES = 20
LETTERS = b"abcdefghijklmnopqrstuvwxyz"
SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]


def write_pairs(folder: Path, pairs: int) -> None:
    """Write so many pairs of texts of 4 to 40 letters, into packed files of equal size, each in other letters."""
    draw = random.Random(1)
    words = ("".join(draw.choices(SYLLABLES, k=draw.randint(2, 20))) for _ in range(pairs // FILES))
    text = "".join(f"{word}\t{word[::-1].upper()}\n" for word in words).encode()
    for number in range(FILES):
        turned = LETTERS[number:] + LETTERS[:number]
        table = bytes.maketrans(LETTERS + LETTERS.upper(), turned + turned.upper())
        with gzip.open(folder / f"part-{number:02}.tsv.gz", "wb", compresslevel=1) as file:
            file.write(text.translate(table))


def peak() -> float:
    """Return the most memory that this process had so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def configuration(data: str, buffer: int | None) -> Any:
    """Return a run with little to compute."""
    from s2s_training.data.datasets import default_config

    return default_config(data).override(
        units=64, embedding=32, epochs=1, batch_size=256, score=0, valid_fraction=0.002, test_fraction=0.002,
        shuffle_buffer=buffer,
    )  # fmt: skip


def read(data: str, buffer: int, run: str) -> dict[str, float]:
    """Read the files, and draw the batches of two epochs."""
    from s2s_training.data.tf_datasets import EpochOrder
    from s2s_training.runs.run_folder import RunFolder
    from s2s_training.train import prepare

    begun = time.perf_counter()
    task = prepare(configuration(data, buffer), folder=RunFolder(Path(run)))
    figures = {"seconds until the first step": time.perf_counter() - begun, "peak MB then": peak()}
    begun = time.perf_counter()
    order, steps = EpochOrder(1), 0
    for order.epoch in range(2):
        steps += sum(1 for _ in task.training(order))
    seconds = time.perf_counter() - begun
    return {**figures, "batches of 256 drawn": steps, "pairs a second": steps * 256 / seconds, "peak MB": peak()}


def train(data: str, buffer: int | None, run: str) -> dict[str, float]:
    """Train for an epoch, and time what follows its first 20 steps."""
    import keras

    from s2s_training.train import train as train_run

    class Clock(keras.callbacks.Callback):
        begun = ended = 0.0
        steps = 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.begun = time.perf_counter() if batch == 20 else self.begun
            self.steps, self.ended = batch - 20, time.perf_counter()

    clock = Clock()
    train_run(configuration(data, buffer), run, callbacks=[clock])
    return {"pairs a second": clock.steps * 256 / (clock.ended - clock.begun), "peak MB": peak()}


def in_a_process(kind: str, data: Path, buffer: int | None, folder: Path, cores: set[int]) -> subprocess.Popen[bytes]:
    """Start measuring by `read` or `train` in a process of its own, on some cores."""
    call = f"{kind}({str(data)!r}, {buffer!r}, {str(folder)!r})"
    code = f"import json, os; os.sched_setaffinity(0, {cores}); import streamed_training"
    code += f"; print(json.dumps(streamed_training.{call}))"
    return subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parent, stdout=subprocess.PIPE)


def measured(process: subprocess.Popen[bytes]) -> dict[str, float]:
    """Return what a process measured, once it has.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    said, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    figures: dict[str, float] = json.loads(said.splitlines()[-1])
    return figures


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["read", "train"])
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--shuffle-buffer", type=int, default=None, help="default: a tenth of the pairs")
    parser.add_argument("--rounds", type=int, default=4, help="even, so that each has each core as often")
    given = parser.parse_args()
    buffer = given.shuffle_buffer or given.pairs // 10
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "pairs"
        data.mkdir()
        write_pairs(data, given.pairs)
        cores = sorted(os.sched_getaffinity(0))
        if given.kind == "read":
            for figure, value in measured(in_a_process("read", data, buffer, folder / "run", set(cores))).items():
                print(f"{figure}: {value:,.0f}")
            return
        sizes = {"in memory": None, f"{buffer:,} in memory": buffer}
        ratios = []
        for number in range(given.rounds):
            own = (cores[0], cores[-1]) if number % 2 else (cores[-1], cores[0])
            processes = [
                in_a_process("train", data, size, folder / f"{number}-{size}", {core})
                for size, core in zip(sizes.values(), own, strict=True)
            ]
            figures = [measured(process) for process in processes]
            for how, each in zip(sizes, figures, strict=True):
                print(f"{how}: " + ", ".join(f"{value:,.0f} {name}" for name, value in each.items()), flush=True)
            ratios.append(figures[1]["pairs a second"] / figures[0]["pairs a second"])
        told = ", ".join(f"{ratio:.3f}" for ratio in ratios)
        print(f"of the speed with all in memory: {statistics.geometric_mean(ratios):.3f} ({told})")


if __name__ == "__main__":
    main()

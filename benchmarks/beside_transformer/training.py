"""Training both models on the same words: side by side, so that whatever else the machine does slows both alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from s2s_training.config.data import DataConfig
from s2s_training.data import cmudict

ROOT: Final = Path(__file__).resolve().parents[2]
BENCHMARKS: Final = ROOT / "benchmarks"
RECIPE: Final = ROOT / "training" / "recipes" / "cmudict.toml"
ONE_THREAD: Final = {
    name: "1" for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "MKL_NUM_THREADS")
}
TRAINING_FILE: Final = "training.json"


def write_words(file: Path) -> None:
    """Write the pairs that `s2s-train cmudict` trains on: word, tab, the pronunciation that is listed first."""
    corpus = cmudict.load(DataConfig(data="cmudict"), seed=1)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{one.source}\t{one.targets[0]}\n" for one in corpus.train), encoding="utf-8")


def train_both(folder: Path, minutes: float, torch_python: Path) -> dict[str, dict[str, float]]:
    """Train both at the same time, one thread each, and return what each took; written into the folder too.

    Args:
        folder: gets `recurrent`, a run of `s2s-train`, and `transformer`.
        minutes: for each.
        torch_python: interpreter of the environment with PyTorch.

    Raises:
        subprocess.CalledProcessError: one failed; its log beside the folders says why.
    """
    words, limit = folder / "words.tsv", str(minutes)
    write_words(words)
    s2s_train = Path(sys.executable).parent / "s2s-train"
    commands = {
        "recurrent": [
            *(str(s2s_train), "--config", str(RECIPE), "--max-minutes", limit, "--score", "0", "--force"),
            *("--output", str(folder / "recurrent")),
        ],
        "transformer": [
            *(str(torch_python), "-m", "beside_transformer.train_transformer", str(words), str(folder / "transformer")),
            *("--minutes", limit),
        ],
    }
    took = _run_together(commands, folder)
    (folder / TRAINING_FILE).write_text(json.dumps(took, indent=1) + "\n", encoding="utf-8")
    return took


def _run_together(commands: dict[str, Sequence[str]], folder: Path) -> dict[str, dict[str, float]]:
    """Run commands at the same time; return the minutes and the processor minutes of each."""
    started, environment = time.monotonic(), os.environ | ONE_THREAD
    running: dict[int, tuple[str, subprocess.Popen[bytes]]] = {}
    took: dict[str, dict[str, float]] = {}
    try:
        for name, command in commands.items():
            with (folder / f"{name}.log").open("wb") as log:  # a session each: Linux gives each session the same share
                process = subprocess.Popen(
                    command, cwd=BENCHMARKS, stdout=log, stderr=log, env=environment, start_new_session=True
                )
            running[process.pid] = name, process
        while running:
            pid, status, usage = os.wait4(-1, 0)
            name, process = running.pop(pid)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise subprocess.CalledProcessError(process.returncode, commands[name])
            took[name] = {
                "minutes": (time.monotonic() - started) / 60,
                "processor_minutes": (usage.ru_utime + usage.ru_stime) / 60,
            }
    finally:
        for _, process in running.values():
            process.terminate()
    return took

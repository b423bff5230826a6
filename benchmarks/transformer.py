"""A recurrent model here beside a small Transformer in CTranslate2, which can't run recurrent ones: a user's choice.

    make bench-transformer MINUTES=20

Both learn words and phones of cmudict, at the same time, one thread and so many minutes each; then both decode words
that neither saw, from text to text, in turn, with all cores.
"""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from beside_transformer.measured import DECODERS, rates, started, times
from beside_transformer.training import BENCHMARKS, ROOT, TRAINING_FILE, train_both
from compare import known_names
from measuring.environments import python_of
from measuring.in_process import circumstances
from report.markdown import README, RESULTS, write_tables
from report.transformer_tables import transformer_tables
from rich.console import Console

from s2s_runtime.evaluation import read_references

COMPARED_WORDS: Final = 500
TIMED_WORDS: Final = 256
STEPS: Final = ("train", "convert", "rates", "times")
RESULT: Final = RESULTS / "transformer.json"


def compare(
    *,
    minutes: Annotated[float, typer.Option(min=0.1, help="Of training, for each model.")] = 20.0,
    folder: Annotated[Path, typer.Option(help="Of the models; a training that is there isn't repeated.")] = ROOT
    / "runs"
    / "beside-transformer",
    only: Annotated[str, typer.Option(help="Which steps, separated by commas.")] = ",".join(STEPS),
    rounds: Annotated[int, typer.Option(min=1, help="Visits of each decoder.")] = 5,
    more: Annotated[bool, typer.Option("--more", help="Add the visits to those kept.")] = False,
    tables: Annotated[bool, typer.Option(help="Renew the tables of README.md.")] = True,
) -> None:
    """Train, convert, score and time; each step takes up what the steps before it left."""
    steps = known_names("--only", only, STEPS)
    if "convert" not in steps and not RESULT.exists():
        raise typer.BadParameter(f"--only: expected convert among the steps, as {RESULT} isn't there yet; got {only}")
    folder.mkdir(parents=True, exist_ok=True)
    python = python_of("transformer")
    with Console(stderr=True).status("") as status:
        if "train" in steps and not (folder / TRAINING_FILE).exists():
            status.update(f"training both for {minutes:g} minutes")
            train_both(folder, minutes, python)
        if "convert" in steps:
            status.update("exporting, converting, and comparing CTranslate2 with PyTorch")
            _keep(converted(folder, python))
        results = json.loads(RESULT.read_text(encoding="utf-8"))
        if {"rates", "times"} & set(steps):
            with started(folder, python) as workers:
                references = read_references(folder / "recurrent" / "test.tsv")
                for worker in workers.values():
                    results["versions"] |= worker.about["versions"]
                if "rates" in steps:
                    results["rates"] = rates(workers, references, status.update)
                    _keep(results)
                if "times" in steps:
                    timed, kept = list(islice(references, TIMED_WORDS)), results.get("times", []) if more else []
                    for turn in range(rounds):
                        kept = [*kept, *times(workers, timed, turn, status.update)]
                        results["times"] = kept
                        _keep(results)
    made = transformer_tables(results)
    print("\n\n".join(made.values()))
    if tables:
        write_tables(README, made)


def _keep(results: dict[str, Any]) -> None:
    """Write what was found so far."""
    results |= circumstances()
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def converted(folder: Path, python: Path) -> dict[str, Any]:
    """Write both models as their runtimes read them, in float32 and int8, and return what there is to say of them."""
    recurrent, export = folder / "recurrent", str(Path(sys.executable).parent / "s2s-export")
    model = str(recurrent / "model.keras")
    subprocess.run([export, model, "--force", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    int8 = ["--quantize", "int8", "--output", str(recurrent / "int8.s2s")]
    subprocess.run([export, model, "--force", "--quiet", *int8], check=True, stdout=subprocess.DEVNULL)
    words = folder / "compared.txt"
    heldout = islice(read_references(recurrent / "test.tsv"), COMPARED_WORDS)
    words.write_text("\n".join(heldout) + "\n", encoding="utf-8")
    command = [
        str(python),
        "-W",
        "ignore::UserWarning",
        "-m",
        "beside_transformer.conversion",
        str((folder / "transformer").resolve()),
    ]
    made = subprocess.run(
        [*command, str(words.resolve())], cwd=BENCHMARKS, check=True, text=True, stdout=subprocess.PIPE
    )
    conversion = json.loads(made.stdout)
    took = json.loads((folder / TRAINING_FILE).read_text(encoding="utf-8"))
    summary = json.loads((recurrent / "summary.json").read_text(encoding="utf-8"))
    facts = json.loads((folder / "transformer" / "model.json").read_text(encoding="utf-8"))
    sizes = {"recurrent": summary, "transformer": {"parameters": conversion["parameters"], "epochs": facts["epochs"]}}
    return {
        "beside_transformer": True,
        "versions": {"torch": conversion["torch"]},
        "compared": conversion["compared"],
        "models": {
            name: {
                "parameters": size["parameters"],
                "epochs": size["epochs"],
                "megabytes": {
                    each.split()[1]: _megabytes(folder / DECODERS[each][1]) for each in DECODERS if name in each
                },
                **took[name],
            }
            for name, size in sizes.items()
        },
    }


def _megabytes(model: Path) -> float:
    """Return the size of a model on the disk."""
    return sum(file.stat().st_size for file in model.rglob("*") if file.is_file()) / 1e6


if __name__ == "__main__":
    typer.run(compare)

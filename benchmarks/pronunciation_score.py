"""Error rates of pronunciation models trained with several seeds: each alone, mean and spread, and their ensemble.

`python benchmarks/pronunciation_score.py RUN PAIRS.tsv` takes a folder of `s2s-train --seeds` with an exported
`model.s2s` in every `seed-N`. A row for each way of decoding, in the form of benchmarks/QUALITY.md; everything measured
goes into RUN/scores.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

import s2s_runtime
from s2s_runtime.ensembles import Mean
from s2s_runtime.error_rates import error_rates
from s2s_runtime.evaluation import References, read_references

BEAMS = {"greedy": 1, "beam 5": 5}
MEANS: dict[str, Mean] = {
    "ensemble, mean of probabilities, beam 5": "probabilities",
    "ensemble, mean of log-probabilities, beam 5": "log_probabilities",
}


def rates(model: s2s_runtime.Model, references: References, beam_size: int) -> dict[str, float]:
    """Share of wrong words and of wrong phones, in %; phones are what spaces separate, whatever the model's symbols."""
    found = [result.text.split() for result in model.generate(list(references), beam_size=beam_size)]
    errors = error_rates(found, [[target.split() for target in targets] for targets in references.values()])
    return {"WER": 100 * errors.sequence_error_rate, "PER": 100 * errors.token_error_rate}


def spread(values: Sequence[float]) -> str:
    """Return the mean, and with more than one value the standard deviation beside it."""
    mean = f"{statistics.mean(values):.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def main() -> None:
    """Read the command line, print the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--label", help="first column of the rows; else the folder's name")
    arguments = parser.parse_args()
    folders = sorted(path for path in arguments.run.glob("seed-*") if (path / "model.s2s").is_dir())
    if not folders:
        parser.error(f"{arguments.run}: expected folders seed-N with an exported model.s2s inside, found none")
    references = read_references(arguments.pairs)
    models = [s2s_runtime.load(folder / "model.s2s") for folder in folders]
    minutes = [json.loads((f / "summary.json").read_text(encoding="utf-8"))["minutes"] for f in folders]
    scores: dict[str, object] = {"seeds": [folder.name for folder in folders], "minutes": minutes}
    label = arguments.label or arguments.run.name
    for name, beam_size in BEAMS.items():
        each = [rates(model, references, beam_size) for model in models]
        scores[name] = each
        wer, per = ([found[key] for found in each] for key in ("WER", "PER"))
        singles = ", ".join(f"{value:.2f}" for value in wer)
        print(f"| {label} | {name} | {len(models)} | {spread(wer)} | {spread(per)} | {singles} | {spread(minutes)} |")
    for name, mean in MEANS.items() if len(models) > 1 else ():
        voted = scores[name] = rates(s2s_runtime.ensemble(models, mean=mean), references, 5)
        print(f"| {label} | {name} | {len(models)} | {voted['WER']:.2f} | {voted['PER']:.2f} | | |")
    (arguments.run / "scores.json").write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

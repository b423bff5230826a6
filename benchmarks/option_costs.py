"""What decoding options cost: each timed beside the plain run of its search, in turn.

    python benchmarks/option_costs.py --bundles FOLDER      # FOLDER keeps the bundles for another run

Writes `results/option-costs.json` and the table of README.md. A translator of characters with attention, and a language
model of its targets, with random weights: every target gets 30 tokens long, however it is decoded.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from measuring.cases import BEAM_SIZE
from measuring.in_process import circumstances, fastest
from measuring.quiet import Usage
from numpy.typing import NDArray
from problems.canonical import SOURCE_LENGTH, SOURCE_SIZE, STEPS, TARGET_SIZE
from report.markdown import RESULTS
from report.own_tables import option_tables
from report.targets import publish

from s2s_runtime import Model, load

UNITS = 256
SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")
BATCHES = (1, 32)
CALLS = 2  # of a visit, of which the fastest counts
MANY, LETTERS = 100_000, 26  # outputs that a list allows, and the symbols that they are made of


class Row(NamedTuple):
    """What is timed.

    Attributes:
        title: of the row.
        options: how it is decoded; texts in capitals stand for what is made for a run, see `made_values`.
        beside: the options of the run that it is compared with.
    """

    title: str
    options: Mapping[str, Any]
    beside: Mapping[str, Any] = {}


GREEDY: tuple[Row, ...] = (
    Row("`engine` steps", {"engine": "steps"}),
    Row("`return_scores`", {"return_scores": True}),
    Row("`return_token_scores`", {"return_token_scores": True}),
    Row("`return_attention`", {"return_attention": True}),
    Row("`return_confidence`", {"return_confidence": True}),
    Row("`return_top_tokens` 5", {"return_top_tokens": 5}),
    Row("`repetition_penalty`", {"repetition_penalty": 1.2}),
    Row("`no_repeat_ngram_size` 3", {"no_repeat_ngram_size": 3}),
    Row("`suppress_tokens`, 5", {"suppress_tokens": list(range(4, 9))}),
    Row("`suppress_sequences`, 5 of 3", {"suppress_sequences": [[i, i + 1, i + 2] for i in range(4, 9)]}),
    Row("`prefix` of 3", {"prefix": [4, 5, 6]}),
    Row("`allowed_sequences`, 100,000 told apart at the end", {"allowed_sequences": "ALIKE"}),
    Row("`allowed_sequences`, 100,000 at random", {"allowed_sequences": "RANDOM"}),
    Row("`bias`, 100 phrases", {"bias": "BIAS"}),
    Row("`allowed_next`, a mask", {"allowed_next": "MASK"}),
    Row("`logits_processor`, as they are", {"logits_processor": "PROCESSOR"}),
    Row("`replace_unknown`", {"replace_unknown": True}),
    Row("`callback`", {"callback": "CALLBACK"}),
    Row("`lexicon` of 100,000, none of them asked", {"lexicon": "LEXICON"}),
    Row("`language_model`", {"language_model": "MODEL"}),
    Row("`language_model`, `internal_language_model`", {"language_model": "MODEL", "internal_language_model": "MODEL"}),
    Row("`sampling_temperature`", {"sampling_temperature": 1.0, "seed": 1}),
    Row("`sampling_top_k` 10", {"sampling_top_k": 10, "seed": 1}),
    Row("`sampling_top_p`", {"sampling_top_p": 0.9, "seed": 1}),
    Row("`sampling_min_p`", {"sampling_min_p": 0.05, "seed": 1}),
    Row("`sampling_typical_p`", {"sampling_typical_p": 0.9, "seed": 1}),
    Row("`sampling_epsilon`", {"sampling_epsilon": 0.01, "seed": 1}),
)
_FIVE = {"num_hypotheses": 5}
BEAMS: tuple[Row, ...] = (
    Row("`engine` steps", {"engine": "steps"}),
    Row("`num_hypotheses` 5", _FIVE),
    Row("`return_attention`", {"return_attention": True}),
    Row("`return_alternatives`, 5", {"return_alternatives": True, **_FIVE}),
    Row("`coverage_penalty`", {"coverage_penalty": 0.2}),
    Row("`beam_groups` 5", {"beam_groups": 5}),
    Row("`stochastic_beams`", {"stochastic_beams": True, "seed": 1}),
    Row("`repetition_penalty`", {"repetition_penalty": 1.2}),
    Row("`no_repeat_ngram_size` 3", {"no_repeat_ngram_size": 3}),
    Row("`allowed_sequences`, 100,000 told apart at the end", {"allowed_sequences": "ALIKE"}),
    Row("`required_phrases`, 2 of 3", {"required_phrases": [[4, 5, 6], [7, 8, 9]]}),
    Row("`bias`, 100 phrases", {"bias": "BIAS"}),
    Row("`logits_processor`, as they are", {"logits_processor": "PROCESSOR"}),
    Row("`language_model`", {"language_model": "MODEL"}),
    Row("`language_model`, `rescore`", {"language_model": "MODEL", "rescore": True, **_FIVE}, _FIVE),
    Row('`min_bayes_risk` "bleu"', {"min_bayes_risk": "bleu", **_FIVE}, _FIVE),
    Row('`min_bayes_risk` "chrf"', {"min_bayes_risk": "chrf", **_FIVE}, _FIVE),
    Row('`min_bayes_risk` "edit_distance"', {"min_bayes_risk": "edit_distance", **_FIVE}, _FIVE),
)
SEARCHES = ((1, GREEDY), (BEAM_SIZE, BEAMS))


def make_bundles(folder: Path) -> tuple[Path, Path]:
    """Return where the translator and the language model lie, exported unless they were before."""
    translator, language_model = folder / "translator.s2s", folder / "language-model.s2s"
    if translator.exists() and language_model.exists():
        return translator, language_model
    from s2s_training.quiet_import import import_quietly

    import_quietly()
    import keras

    from s2s_export import ExportOptions, export
    from s2s_runtime.vocabulary.padding import PaddingPolicy
    from s2s_runtime.vocabulary.vocabulary import Vocabulary
    from s2s_runtime.vocabulary.vocabulary_file import VocabularyFile
    from s2s_training.config.model import ModelConfig
    from s2s_training.data.arrays import Layout
    from s2s_training.language_models.model import build_language_model
    from s2s_training.models.encoder_decoder import build_model

    def side(size: int) -> Vocabulary:
        letters = (chr(0x4E00 + i) for i in range(size - len(SPECIAL)))
        padding, unknown, start, end = SPECIAL
        return Vocabulary("char", (*SPECIAL, *letters), padding=padding, unknown=unknown, start=start, end=end)

    keras.utils.set_random_seed(1)
    source = Vocabulary("char", side(SOURCE_SIZE).symbols, padding="<pad>", unknown="<unk>")
    symbols = VocabularyFile(source, side(TARGET_SIZE), PaddingPolicy(masked=True, id=0), STEPS)
    described = ModelConfig(units=UNITS, attention="general")
    model = build_model(described, Layout.of(symbols, described))
    export(never_ending(model), translator, ExportOptions(vocabulary=symbols, verify_sources=4))
    model = build_language_model(ModelConfig(units=UNITS), TARGET_SIZE)
    symbols = VocabularyFile(None, side(TARGET_SIZE), PaddingPolicy(masked=True, id=0), STEPS)
    given = ExportOptions(vocabulary=symbols, feedback="token", verify_sources=4)
    export(never_ending(model), language_model, given)
    return translator, language_model


def never_ending(model: Any) -> Any:
    """Return a model whose outputs vary by sentence and step, and don't end by themselves."""
    kernel, bias = model.get_layer("probabilities").get_weights()
    bias[: len(SPECIAL)] = -20.0
    model.get_layer("probabilities").set_weights([kernel * 12, bias])
    return model


def sentences(batch: int) -> NDArray[np.int64]:
    """Return the ids of random sentences, (batch, 16)."""
    return np.random.default_rng(2).integers(len(SPECIAL), SOURCE_SIZE, size=(batch, SOURCE_LENGTH))


def made_values(language_model: Path) -> dict[str, Any]:
    """Return what stands for the texts in capitals."""
    random = np.random.default_rng(3)
    mask = np.ones(TARGET_SIZE, np.bool_)
    mask[3] = False  # the end token; tokens that are never written are masked in any case
    phrases = random.integers(len(SPECIAL), TARGET_SIZE, size=(100, 3))
    sequences = random.integers(len(SPECIAL), len(SPECIAL) + LETTERS, size=(MANY, STEPS - 1))
    alike = sequences[:1].repeat(MANY, axis=0)  # all but the last 4 symbols, whose numbers are those of the sequence
    alike[:, -4:] = len(SPECIAL) + np.stack(np.unravel_index(np.arange(MANY), (LETTERS,) * 4), axis=1)
    return {
        "ALIKE": alike.tolist(),
        "RANDOM": sequences.tolist(),
        "BIAS": {tuple(phrase): 0.1 for phrase in phrases.tolist()},
        "MASK": lambda step, tokens: mask,
        "PROCESSOR": lambda ids, logits: logits,
        "CALLBACK": lambda event: False,
        "LEXICON": {str(i): "a" for i in range(MANY)},
        "MODEL": load(language_model),
    }


def measured(
    model: Model, values: Mapping[str, Any], rounds: int, searches: Sequence[tuple[int, Sequence[Row]]]
) -> list[dict[str, Any]]:
    """Return for each search, row and batch the milliseconds of a plain call, and what is measured beside it.

    That is the milliseconds of a call with the options, and of each round how many times as long it took.
    """
    found = []
    for beam, rows in searches:
        for row in rows:
            search = {"beam_size": beam, "max_length": STEPS}
            plain = model.prepare(**search, **row.beside)
            made = {
                name: values.get(value, value) if type(value) is str else value for name, value in row.options.items()
            }
            prefix = made.pop("prefix", None)
            decoding = model.prepare(**search, **made)
            for batch in BATCHES:
                inputs = texts(batch) if "lexicon" in made else sentences(batch)
                prefixes = None if prefix is None else [prefix] * batch
                assert_whole(plain.decode(inputs, None))
                assert_whole(decoding.decode(inputs, prefixes))
                both = partial(plain.decode, inputs, None), partial(decoding.decode, inputs, prefixes)
                pairs = [[fastest(call, CALLS) for call in both] for _ in range(rounds)]
                found.append(
                    {
                        "beam": beam,
                        "title": row.title,
                        "batch": batch,
                        "plain": statistics.median(before for before, _ in pairs) * 1e3,
                        "milliseconds": statistics.median(after for _, after in pairs) * 1e3,
                        "ratios": [after / before for before, after in pairs],
                    }
                )
    return found


def texts(batch: int) -> list[str]:
    """Return the texts of random sentences."""
    return ["".join(chr(0x4E00 + token - len(SPECIAL)) for token in row) for row in sentences(batch).tolist()]


def assert_whole(results: list[Any]) -> None:
    """Check that every target is as long as all are to be, or there would be nothing to compare.

    Raises:
        RuntimeError: one isn't.
    """
    best = [result.hypotheses[0] for result in results]
    lengths = {len(hypothesis.ids) + (hypothesis.finish_reason == "end") for hypothesis in best}
    if lengths != {STEPS}:
        raise RuntimeError(f"expected targets of {STEPS} tokens, got {sorted(lengths)}")


def measure(
    *,
    bundles: Annotated[Path | None, typer.Option(help="Folder to keep bundles in, and to find them in.")] = None,
    rounds: Annotated[int, typer.Option(min=3, help="Visits of each option.")] = 7,
    part: Annotated[str, typer.Option(help="Time the second of four parts, say, 2/4, and keep the others.")] = "1/1",
    tables: Annotated[bool, typer.Option(help="Renew the table of README.md.")] = True,
) -> None:
    """Time each option beside the plain run, write JSON and a table."""
    number, parts = part_of(part)
    searches = [(beam, rows[number - 1 :: parts]) for beam, rows in SEARCHES]
    with tempfile.TemporaryDirectory() as temporary:
        folder = bundles or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        translator, language_model = make_bundles(folder)
        with load(translator) as model:
            values = made_values(language_model)
            before = Usage.read(os.getpid())
            rows = measured(model, values, rounds, searches)
    output = RESULTS / "option-costs.json"
    results = {**circumstances(before), "rounds": rounds}
    results["option_costs"] = [{**row, "foreign": results["foreign"]} for row in rows]
    if parts > 1 and output.exists():
        results = joined(json.loads(output.read_text(encoding="utf-8")), results)
    publish(results, output, option_tables(results), renew_readme=tables)


def part_of(text: str) -> tuple[int, int]:
    """Return which part is meant, from 1, and of how many.

    Raises:
        typer.BadParameter: it isn't two such numbers.
    """
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise typer.BadParameter(f"--part: expected a part of parts such as 2/4, got {text!r}")
    return int(found[1]), int(found[2])


def joined(kept: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return the results of a part with those that are kept of the others, in the order of all rows."""
    found = {_key(row): row for results in (kept, new) for row in results["option_costs"]}
    order = [(beam, row.title, batch) for beam, rows in SEARCHES for row in rows for batch in BATCHES]
    rows = [found[key] for key in order if key in found]
    used = [row["foreign"] for row in rows if row["foreign"] is not None]
    return {**new, "foreign": max(used, default=None), "option_costs": rows}


def _key(row: Mapping[str, Any]) -> tuple[int, str, int]:
    return row["beam"], row["title"], row["batch"]


if __name__ == "__main__":
    typer.run(measure)

"""Random sets of `s2s-train`'s options: what makes sense together is trained, exported, and decodes as Keras does.

A case holds options, drawn each by itself, of the model and of how texts become symbols. Sets that contradict
themselves have to be refused for a reason that `NONSENSE` knows; all others train an epoch on a few pairs, are
exported from the run's folder as people do, and the bundle's texts are those of the training model, which is given its
own growing prefix.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from random import Random
from typing import Any, Final

from harness import BrokenPromiseError, Case, Harness
from random_models import prepare

from s2s_training.config.data import DataConfig
from s2s_training.config.fit import FitConfig
from s2s_training.config.model import ModelConfig

DRAWN: Final[Mapping[str, tuple[Any, ...]]] = {
    "kind": ("encoder-decoder", "encoder-decoder", "encoder-decoder", "repeat-vector", "same-length", "ctc"),
    "cell": ("gru", "simple-rnn"),
    "units": (6,),
    "decoder_units": (7, 12),
    "encoder_layers": (2,),
    "decoder_layers": (2, 3),
    "bidirectional": (True,),
    "embedding": (0, 5),
    "dropout": (0.2,),
    "word_dropout": (0.1,),
    "accumulation": (2,),
    "r_drop": (1.0,),
    "attention": ("dot", "general", "additive", "multi-head"),
    "heads": (2,),
    "input_feeding": (True,),
    "peek": ("concat", "add"),
    "bridge": ("dense", "none"),
    "tied": (True,),
    "residual": (True,),
    "layer_norm": (True,),
    "scheduled_sampling": (0.5,),
    "free_running": (True,),
    "padding": ("space", "zeros"),
    "source_unit": ("word", "symbol", "phone"),
    "target_unit": ("word", "symbol", "phone"),
    "source_factors": (1, 2),
    "factor_embedding": ("3",),
    "reverse": (True,),
    "min_count": (2,),
    "vocabulary_size": (6, 20),
    "lowercase": (True,),
    "label_smoothing": (0.1,),
    "average": (0.9,),
    "optimizer": ("rmsprop",),
}
ALWAYS: Final = {
    "epochs": 1,
    "score": 0,
    "units": 8,
    "embedding": 4,
    "batch_size": 16,
    "valid_fraction": 0.2,
    "test_fraction": 0.0,
}
SHARE: Final = 0.25
"""The share of options that are drawn; others have their defaults."""
DEFAULTS: Final = {
    field.name: field.default for section in (DataConfig, ModelConfig, FitConfig) for field in fields(section)
}

_Given = Mapping[str, Any]
_DECODER: Final = ("decoder_units", "decoder_layers", "attention", "heads", "peek", "bridge", "tied", "input_feeding")
_FED: Final = (*_DECODER[4:], "scheduled_sampling", "free_running")
_UNFED: Final[Mapping[str, tuple[str, ...]]] = {
    "repeat-vector": ("attention", "heads", *_FED),
    "same-length": (*_DECODER, *_FED, "reverse"),
    "ctc": (*_DECODER, *_FED, "reverse", "label_smoothing", "r_drop"),
}


def _differ(given: _Given, names: Iterable[str]) -> bool:
    return any(given[name] != DEFAULTS[name] for name in names)


NONSENSE: Final[Mapping[str, Callable[[_Given], bool]]] = {
    "an attention that isn't there is fed": lambda given: given["input_feeding"] and given["attention"] == "none",
    "guesses in the place of targets that aren't read": lambda given: (
        given["free_running"] and given["scheduled_sampling"] > 0
    ),
    "one-hot rows and an output share a matrix": lambda given: given["tied"] and not given["embedding"],
    "a decoder that never sees the source": lambda given: (
        given["bridge"] == given["attention"] == given["peek"] == "none"
    ),
    "two passes that can't differ": lambda given: (
        given["r_drop"] > 0 and not (given["dropout"] or given["word_dropout"])
    ),
    "spaces between what has no spaces": lambda given: (
        given["padding"] == "space" and (given["source_unit"], given["target_unit"]) != ("char", "char")
    ),
    "a model without what the option is about": lambda given: _differ(given, _UNFED.get(given["kind"], ())),
    "factors without embeddings of their own": lambda given: (
        given["source_factors"] > 0 and (not given["embedding"] or given["padding"] == "space")
    ),
    "embeddings of factors that there aren't": lambda given: (
        given["factor_embedding"] is not None and not given["source_factors"]
    ),
    "padding read by a model that writes a symbol for each it reads": lambda given: (
        given["kind"] in ("same-length", "ctc") and given["padding"] != "mask"
    ),
}


def make(random: Random) -> Case:
    """Draw which options differ from their defaults, and what they are."""
    return {
        "seed": random.randrange(10**6),
        "options": {name: random.choice(values) for name, values in DRAWN.items() if random.random() < SHARE},
    }


def pairs(random: Random) -> list[tuple[str, str]]:
    """Return texts of a few words, and their words backwards, which any unit cuts into several symbols."""
    words = ["ab", "ba", "cab", "Da", "dad", "bead", "face"]
    sources = sorted({" ".join(random.choices(words, k=random.randint(1, 3))) for _ in range(60)})
    return [(source, " ".join(source.split()[::-1])) for source in sources]


def with_factors(source: str, count: int, random: Random) -> str:
    """Return a text with so many factors behind each word."""
    return " ".join("|".join((word, *random.choices("xyZ", k=count))) for word in source.split())


def config_of(case: Case, path: Path) -> Any:
    """Return the configuration that a case asks for.

    Raises:
        ConfigError: its options contradict themselves.
    """
    from s2s_training.data.datasets import default_config

    options = {**ALWAYS, "seed": case["seed"], **case["options"]}
    return default_config(str(path), options.get("kind", "encoder-decoder")).override(**options)


def check(case: Case) -> str:
    """Train, export and decode by the options, or see them refused for a reason that there is."""
    from s2s_training.errors import ConfigError

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pairs.tsv"
        rows = pairs(Random(case["seed"]))
        if case["options"].get("kind") in ("same-length", "ctc"):
            rows = [(source, source.upper()) for source, _ in rows]
        factors, random = case["options"].get("source_factors", 0), Random(case["seed"])
        rows = [(with_factors(source, factors, random), target) for source, target in rows]
        file.write_text("".join(f"{source}\t{target}\n" for source, target in rows), encoding="utf-8")
        reasons = [reason for reason, holds in NONSENSE.items() if holds({**DEFAULTS, **case["options"]})]
        try:
            config = config_of(case, file)
        except ConfigError as error:
            if not reasons:
                raise BrokenPromiseError(f"refused without a reason: {error}") from error
            return f"refused: {reasons[0]}"
        if reasons:
            raise BrokenPromiseError(f"not refused: {reasons[0]}")
        return _trained(config, Path(folder), [source for source, _ in rows[::4]])


def _trained(config: Any, folder: Path, sources: list[str]) -> str:
    """Train, export and decode; raise where the bundle gives something else than its training model, re-fed."""
    import keras
    from random_weights import randomise
    from typer.testing import CliRunner

    import s2s_runtime
    from s2s_export.commands.export import app
    from s2s_training.data.arrays import Layout
    from s2s_training.fit.greedy_decoder import GreedyDecoder
    from s2s_training.train import train

    keras.utils.clear_session()
    run, bundle = folder / "run", folder / "bundle.s2s"
    train(config, run)
    model = keras.models.load_model(run / "model.keras")
    randomise(model)  # an epoch on so little would have every source written alike
    model.save(run / "model.keras")
    exported = CliRunner().invoke(app, [str(run / "model.keras"), "-o", str(bundle)])
    if exported.exit_code:
        raise BrokenPromiseError(f"not exported: {exported.output.strip()}")
    vocabulary = s2s_runtime.VocabularyFile.read(run / "vocab.json")
    expected = GreedyDecoder(model, Layout.of(vocabulary, config.model), vocabulary).decode(sources)
    with s2s_runtime.load(bundle) as decoder:
        found = [result.text for result in decoder.generate(sources)]
    if found != expected:
        raise BrokenPromiseError(f"expected {expected}, got {found}")
    return f"right: {config.model.kind}"


HARNESS = Harness(name="training options", make=make, check=check, prepare=prepare, seconds=120.0)

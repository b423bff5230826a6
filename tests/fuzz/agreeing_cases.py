"""Cases of agreeing verbs: models, sources, and options drawn from their declaration.

A new option is tried as soon as it is declared. A case is a JSON document: what takes a function is drawn as a number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any, Final, Literal, get_args, get_origin

import numpy as np
from harness import Case
from numpy_models import numpy_model

import s2s_runtime
from s2s_runtime import DecodingOptions, Model, OptionError
from s2s_runtime.declared_options import declared
from s2s_runtime.declared_options.declared import DeclaredOption

FIXTURES: Final = Path(__file__).parents[1] / "fixtures"
BUNDLES: Final = ("tiny", "tiny-onehot", "tiny-none", "tiny-probabilities", "tiny-sources")
NUMPY_MODELS: Final = 8

Options = dict[str, Any]


@cache
def model_named(name: str) -> Model:
    """Return a model, loaded or made once: a bundle of the fixtures, or a number for one in numpy."""
    if not name.isdigit():
        return s2s_runtime.load(FIXTURES / f"{name}.s2s", workers=2)
    return numpy_model(int(name))


@cache
def language_model_beside(name: str, number: int) -> Model:
    """Return a language model whose tokens a model's are matched with: a bundle of the fixtures, or one in numpy.

    Only "tiny" and the models in numpy have one; where another is given the writer of "tiny", its tokens don't fit.
    """
    if not name.isdigit():
        return s2s_runtime.load(FIXTURES / "tiny-writer.s2s", workers=1)
    size = model_named(name).manifest.target.size
    steps = numpy_model(1000 + number, source=size, target=size)
    return Model(replace(steps.manifest, kind="decoder-only"), steps.step_model)


def make(random: Random) -> Case:
    """Draw a model, sources, options that go together, and an order."""
    names = [*BUNDLES, *map(str, range(NUMPY_MODELS))]
    name = random.choice(names)
    model = model_named(name)
    sources = [_source(model, random) for _ in range(random.randrange(1, 9))]
    order = random.sample(range(len(sources)), len(sources))
    while True:
        options = _options(model, random, len(sources))
        try:
            prepared = {key: value for key, value in realised(options, name).items() if key != "prefix"}
            model.prepare(**prepared)
        except OptionError:
            continue
        return {"model": name, "sources": sources, "order": order, "options": options}


def _source(model: Model, random: Random) -> Any:
    manifest = model.manifest
    most = min(manifest.padding.length or 14, 14)
    length = random.choice([0, 1, 2, *range(most + 1), *range(most + 1)])
    if random.random() < 0.05:
        length += 12  # longer than some models read
    vocabulary = model.source_vocabulary
    if vocabulary is None:
        row: Any = [random.randrange(1, manifest.source.size) for _ in range(length)]
    else:
        row = _text(model, random, length)
        if random.random() < 0.02:
            row += "\N{SNOWMAN}"
    if not manifest.source.others:
        return row
    speaker = [random.uniform(-1, 1) for _ in range(manifest.source.others[1].size)]
    tags = [random.randrange(1, manifest.source.others[0].size) for _ in range(length)]
    return dict(zip(manifest.source.names, (row, tags, speaker), strict=True))


def _text(model: Model, random: Random, length: int) -> str:
    """Draw a text of symbols that the vocabulary has; of letters where the bundle has no vocabulary."""
    vocabulary = model.source_vocabulary
    if vocabulary is None:
        return "ab"[:length]
    special = (vocabulary.padding, vocabulary.start, vocabulary.end, vocabulary.unknown)
    letters = [symbol for symbol in vocabulary.symbols if symbol not in special] + [" "] * (" " in vocabulary.symbols)
    return "".join(random.choice(letters) for _ in range(length))


def _options(model: Model, random: Random, count: int) -> Options:
    """Draw options as a JSON document; functions are drawn as numbers, which `realised` turns into functions."""
    chance = random.choice([0.03, 0.08, 0.2])
    known = declared(DecodingOptions)
    chosen = [declaration for declaration in known.values() if random.random() < chance]
    if random.random() < 0.4:
        chosen.append(known["beam_size"])
    elif random.random() < 0.4:
        chosen += [known["sampling_temperature"], known["seed"]]
    if random.random() < 0.3:
        chosen += [known["no_repeat_ngram_size"]]
    if random.random() < 0.1:
        chosen += [known["language_model"], known["language_model_weight"]]
    options = {declaration.name: drawn_value(declaration, model, random, count) for declaration in chosen}
    if any(name.startswith(("sampling", "stochastic")) for name in options):
        options.setdefault("seed", random.randrange(1000))  # without one nobody promises anything
    return {name: value for name, value in options.items() if value is not None}


def drawn_value(declaration: DeclaredOption, model: Model, random: Random, count: int) -> Any:
    """Draw a value of an option for some sources, None where it is left out.

    Raises:
        TypeError: the option is of a type that has to be drawn on purpose.
    """
    name, option = declaration.name, declaration.option
    size, vocabulary = model.manifest.target.size, model.target_vocabulary
    tokens = list(range(size)) if vocabulary is None else list(vocabulary.symbols)
    drawn: dict[str, Callable[[], Any]] = {
        "allowed_next": lambda: random.randrange(1000),
        "logits_processor": lambda: random.randrange(1000),
        "callback": lambda: random.randrange(6),
        "cancel": lambda: None,  # nobody promises when a call that is cancelled ends
        "max_length": lambda: random.randrange(1, 16),
        "max_length_ratio": lambda: random.choice([0.5, 1.0, [1.5, 2.0]]),
        "max_source_length": lambda: random.randrange(1, 16),
        "prefix": lambda: [_prefix(model, random) for _ in range(count)],
        "suppress_sequences": lambda: [random.choices(tokens, k=random.randrange(1, 4)) for _ in range(2)],
        "phrase_table": lambda: None,
        "required_phrases": lambda: [_phrase(model, random)[:3] or [1] for _ in range(random.randrange(1, 3))],
        "bias": lambda: [[_phrase(model, random)[:3] or [1], random.uniform(-2, 4)] for _ in range(3)],
        "lexicon": lambda: {_text(model, random, random.randrange(1, 3)): random.choice(["B", ["A", ["B B", 2]]])},
        "language_model": lambda: random.randrange(8),
        "internal_language_model": lambda: random.randrange(8),
        "allowed_sequences": lambda: [_phrase(model, random) for _ in range(random.randrange(1, 30))],
    }
    if name in drawn:
        return drawn[name]()
    kind = declaration.types[0]
    if kind is bool:
        return True
    if get_origin(kind) is Literal:
        return random.choice(get_args(kind))
    if get_origin(kind) is Sequence or kind is Sequence:
        return random.sample(tokens, random.randrange(min(4, size)))
    low = option.at_least if option.at_least is not None else option.above or 0
    if kind is int:
        return int(low) + random.randrange(5)
    if kind is float:
        high = option.at_most if option.at_most is not None else low + 3
        return random.uniform(low, high) or high
    raise TypeError(f"{name}: say here how it is drawn")


def _prefix(model: Model, random: Random) -> list[int] | None:
    return None if random.random() < 0.5 else _phrase(model, random)[:2]


def _phrase(model: Model, random: Random) -> list[int]:
    target = model.manifest.target
    ids = [token for token in range(target.size) if token not in (*target.end_ids, target.start_id)]
    return random.choices(ids, k=random.randrange(6))


def realised(options: Options, name: str) -> Options:
    """Return options as Python takes them, for the model of a name."""
    values = dict(options)
    for key in ("language_model", "internal_language_model"):
        if key in values:
            values[key] = language_model_beside(name, values[key])
    if "allowed_next" in values:
        number = values["allowed_next"]
        values["allowed_next"] = lambda step, ids: [i for i in range(5) if (i * 7 + step + sum(ids) + number) % 3]
    if "logits_processor" in values:
        values["logits_processor"] = partial(_processed, values["logits_processor"])
    if "callback" in values:
        last = values["callback"]
        values["callback"] = lambda event: event.step == last
    if "bias" in values:
        values["bias"] = {tuple(phrase): weight for phrase, weight in values["bias"]}
    if isinstance(values.get("max_length_ratio"), list):
        values["max_length_ratio"] = tuple(values["max_length_ratio"])
    return values


def _processed(number: int, ids: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Change logits by what stands in a row; now and then a token may not follow, seldom none may."""
    drawn = np.sin((ids.sum(axis=1, keepdims=True) + ids.shape[1] + number) * (1 + np.arange(logits.shape[1])))
    return np.where(drawn > 0.9 - (number % 50 == 0), -np.inf, logits + drawn)

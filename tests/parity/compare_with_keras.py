"""Decodes real sentences with a bundle and with the Keras model it came from, and compares every token.

    python tests/parity/compare_with_keras.py RUN PAIRS.tsv --sentences 1000 --beam 5

RUN is a run folder of `s2s-train` with its exported `model.s2s`. The bundle decodes all sentences in one call, one by
one, and shuffled. Keras decodes them as the tutorial does where the model is the tutorial's (its own layers called one
character at a time; compiled, which changes the speed and not the numbers), and otherwise by re-feeding the whole
training model with its own growing prefix. Ends with 1 where tokens differ other than at a near tie.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from tutorial_script import restored

import s2s_runtime
from s2s_export import ExportOptions, load_model
from s2s_export.understand.bundle_terms import understand
from s2s_export.understand.flat_steps import FlatSteps
from s2s_export.verify.oracle import Decoded, Oracle
from s2s_runtime import VocabularyFile
from s2s_training.splitting.splitter import split

NEAR_TIE = 1e-4
CHUNK = 200
ERRORS = Console(stderr=True)


def distinct_sources(path: Path, count: int) -> list[str]:
    """The first different source texts of a TSV file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return list(dict.fromkeys(line.split("\t")[0] for line in lines))[:count]


def published_decoder(model: Any, file: VocabularyFile) -> Callable[[np.ndarray], list[int]]:
    """The tutorial's inference: encoder states, then one character at a time, one sentence at a time."""
    encode, step = restored(model)
    size = model.output_shape[-1]

    def decode(ids: np.ndarray) -> list[int]:
        padded = np.full(file.padding.length, file.padding.id)
        padded[: len(ids)] = ids
        rows = (padded[:, None] == np.arange(len(file.source))).astype(np.float32)[None]
        states = encode(rows)
        made: list[int] = []
        token = file.target.start_id
        while len(made) < file.max_length and token != file.target.end_id:
            character = (np.arange(size) == token).astype(np.float32)[None, None]
            output, *states = step(character, *states)
            likely = output[0, -1].numpy()
            likely[file.target.start_id] = -1  # the runtime never generates the start token; a trained model doesn't
            token = int(likely.argmax())
            made.append(token)
        return made

    return decode


def greedy_of_keras(model: Any, oracle: Oracle, file: VocabularyFile, sources: list[np.ndarray]) -> list[Decoded]:
    """What Keras decodes greedily."""
    if not file.padding.masked:
        decode = published_decoder(model, file)
        made = [decode(ids) for ids in track(sources, "Keras, one character at a time", console=ERRORS)]
        return [Decoded(tokens, 0.0, np.inf) for tokens in made]
    chunks = [sources[i : i + CHUNK] for i in range(0, len(sources), CHUNK)]
    return [
        decoded
        for chunk in track(chunks, "Keras, re-fed with its prefix", console=ERRORS)
        for decoded in oracle.greedy([(source,) for source in chunk], file.max_length)
    ]


def report(what: str, found: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]], near: Sequence[bool]) -> bool:
    """Prints one line; whether all tokens agree, near ties apart."""
    parted = [i for i, (one, other) in enumerate(zip(found, wanted, strict=True)) if list(one) != list(other)]
    ties = [i for i in parted if near[i]]
    print(f"{what}: {len(found) - len(parted)} of {len(found)} equal, {len(ties)} differ at a near tie")
    return len(parted) == len(ties)


def compare(run: Path, pairs: Path, count: int, beam: int) -> bool:
    """Makes all comparisons."""
    file = VocabularyFile.read(run / "vocab.json")
    keras_model = load_model(run / "model.keras")
    parts = split(keras_model)
    oracle = Oracle(keras_model, parts, understand(FlatSteps(keras_model), parts, ExportOptions(vocabulary=file)))
    texts = distinct_sources(pairs, count)
    sources = [np.asarray(file.source.encode_sentence(text)) for text in texts]
    model = s2s_runtime.load(run / "model.s2s")
    order = random.Random(1).sample(range(len(texts)), len(texts))
    agreed = True
    for name, size in (("greedy", 1), *([(f"beam {beam}", beam)] if beam > 1 else [])):
        options: dict[str, Any] = {"beam_size": size, "return_end_token": True, "return_scores": size > 1}
        together = model.generate(texts, **options)
        alone = [model.generate([text], **options)[0].ids for text in texts]
        shuffled = dict(zip(order, model.generate([texts[i] for i in order], **options), strict=True))
        ids, never = [result.ids for result in together], [False] * len(texts)
        agreed &= report(f"{name}: one by one against one call", alone, ids, never)
        agreed &= report(f"{name}: shuffled against one call", [shuffled[i].ids for i in range(len(texts))], ids, never)
        if size == 1:
            wanted = greedy_of_keras(keras_model, oracle, file, sources)
            near = [decoded.gap < NEAR_TIE for decoded in wanted]
        else:
            chunks = [sources[i : i + CHUNK // size] for i in range(0, len(sources), CHUNK // size)]
            walk = track(chunks, f"Keras, {name}", console=ERRORS)
            wanted = [
                ranked[0]
                for chunk in walk
                for ranked in oracle.beam([(source,) for source in chunk], size, file.max_length)
            ]
            near = [abs((r.score or 0.0) - d.score) < NEAR_TIE for r, d in zip(together, wanted, strict=True)]
        agreed &= report(f"{name}: bundle against Keras", ids, [decoded.tokens for decoded in wanted], near)
    return agreed


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--beam", type=int, default=1, help="also compare beam search of this size")
    arguments = parser.parse_args()
    sys.exit(0 if compare(arguments.run, arguments.pairs, arguments.sentences, arguments.beam) else 1)


if __name__ == "__main__":
    main()

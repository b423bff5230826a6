"""One of the models in its own process: one JSON object a line in, one out.

`python -m beside_transformer.worker ours|ctranslate2 MODEL CORES`, in the environment of either. Requests are
`{"words": [...], "batch": n, "beam": n, "repeats": n}`: all words, n of them a call, from text to text.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Protocol

from measuring.asked_process import Answers

MOST_PHONES: Final = 32  # those of the longest word, and a few more


class Decoder(Protocol):
    """A model with its search."""

    def decode(self, words: Sequence[str], beam: int) -> list[str]:
        """Return the phones of words, spaces between them, all words in one call."""
        ...

    def choose(self, batches: Sequence[Sequence[str]], beam: int) -> str:
        """Choose how to share such batches out to threads, and return the choice in words."""
        ...


class Ours:
    """A bundle of this project, all options at their defaults: it chooses its threads by itself."""

    packages = ("s2s-runtime", "onnxruntime")

    def __init__(self, folder: Path, cores: int) -> None:
        import s2s_runtime

        self._model = s2s_runtime.load(folder, intra_op_threads=None if cores == os.cpu_count() else cores)

    def decode(self, words: Sequence[str], beam: int) -> list[str]:
        """See `Decoder.decode`."""
        return [result.text for result in self._model.generate(words, beam_size=beam, max_batch_size=len(words))]

    def choose(self, batches: Sequence[Sequence[str]], beam: int) -> str:
        """See `Decoder.choose`."""
        return "its own"


class CTranslate2:
    """A converted model; it has no rule for threads, so it is given the fastest of all ways to use the cores."""

    packages = ("ctranslate2",)

    def __init__(self, folder: Path, cores: int) -> None:
        import ctranslate2

        def translator(inter: int, intra: int) -> ctranslate2.Translator:
            return ctranslate2.Translator(
                str(folder), compute_type=folder.name, inter_threads=inter, intra_threads=intra
            )

        self._ways = {"1 thread": (translator(1, 1), 1)}
        if cores > 1:
            self._ways |= {
                f"{cores} threads a batch": (translator(1, cores), 1),
                f"{cores} parts of a batch side by side": (translator(cores, 1), cores),
            }
        self._translator, self._parts = self._ways["1 thread"]
        self._chosen: dict[tuple[int, int], str] = {}

    def decode(self, words: Sequence[str], beam: int) -> list[str]:
        """See `Decoder.decode`."""
        at_once = -(-len(words) // self._parts)
        sources = [list(word) for word in words]
        found = self._translator.translate_batch(
            sources, beam_size=beam, max_batch_size=at_once, max_decoding_length=MOST_PHONES
        )
        return [" ".join(result.hypotheses[0]) for result in found]

    def choose(self, batches: Sequence[Sequence[str]], beam: int) -> str:
        """See `Decoder.choose`; what was once chosen for a batch size and beam stays chosen."""
        size = len(batches[0])
        if (size, beam) not in self._chosen:
            took = {}
            for name, way in self._ways.items():
                self._translator, self._parts = way
                if self._parts <= size:
                    took[name] = min(timed(self, batches[:8], beam)[0] for _ in range(3))
            self._chosen[size, beam] = min(took, key=took.__getitem__)
        chosen = self._chosen[size, beam]
        self._translator, self._parts = self._ways[chosen]
        return chosen


def timed(decoder: Decoder, batches: Sequence[Sequence[str]], beam: int) -> tuple[float, list[str]]:
    """Return the seconds that batches take one after another, and what is decoded."""
    started = time.perf_counter()
    found = [text for words in batches for text in decoder.decode(words, beam)]
    return time.perf_counter() - started, found


def answer(decoder: Decoder, request: dict[str, Any]) -> dict[str, Any]:
    """Answer a request."""
    words, batch, beam = request["words"], request["batch"], request["beam"]
    batches = [words[start : start + batch] for start in range(0, len(words), batch)]
    threads = decoder.choose(batches, beam)
    runs = [timed(decoder, batches, beam) for _ in range(request["repeats"])]
    return {"seconds": [seconds for seconds, _ in runs], "texts": runs[-1][1], "threads": threads}


def main() -> None:
    """Answer requests until stdin ends."""
    answers = Answers()
    makers: dict[str, Callable[[Path, int], Ours | CTranslate2]] = {"ours": Ours, "ctranslate2": CTranslate2}
    decoder = makers[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
    answers.give({"versions": {name: version(name) for name in decoder.packages}})
    for line in sys.stdin:
        answers.give(answer(decoder, json.loads(line)))


if __name__ == "__main__":
    main()

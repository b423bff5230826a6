"""Four decoders side by side, float32 and int8 of both models: error rates on held-out words, and times in turn."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from measuring.asked_process import AskedProcess

from s2s_runtime.error_rates import error_rates

BATCHES: Final = (1, 32, 256)
BEAMS: Final = (1, 5)
DECODERS: Final = {
    "recurrent float32": ("ours", "recurrent/model.s2s"),
    "recurrent int8": ("ours", "recurrent/int8.s2s"),
    "transformer float32": ("ctranslate2", "transformer/float32"),
    "transformer int8": ("ctranslate2", "transformer/int8"),
}
SETTLE_SECONDS: Final = 0.25  # until the threads of the decoder before have stopped waiting actively
VISIT_SECONDS: Final = 0.25


class Worker(AskedProcess):
    """A decoder in its own process.

    Args:
        name: one of `DECODERS`.
        folder: of both models.
        python: interpreter of the environment with CTranslate2; ours runs in this one.
        cores: that it may use.

    Raises:
        PeerError: the process ended; its log beside the models says why.
    """

    def __init__(self, name: str, folder: Path, python: Path, cores: int) -> None:
        kind, model = DECODERS[name]
        interpreter = sys.executable if kind == "ours" else str(python)
        command = [interpreter, "-m", "beside_transformer.worker", kind, str(folder.resolve() / model), str(cores)]
        super().__init__(name, command, folder / f"{name.replace(' ', '-')}.log", {})
        self.about = self.answer()

    def decode(self, words: Sequence[str], batch: int, beam: int, repeats: int) -> dict[str, Any]:
        """Let it decode words, and return seconds, texts, and how it used threads."""
        return self.ask(words=list(words), batch=batch, beam=beam, repeats=repeats)


@contextmanager
def started(folder: Path, python: Path) -> Iterator[dict[str, Worker]]:
    """Yield all decoders, which end with the block."""
    with ExitStack() as stack:
        workers = {}
        for name in DECODERS:
            workers[name] = Worker(name, folder, python, os.cpu_count() or 1)
            stack.callback(workers[name].close)
        yield workers


def rates(
    workers: dict[str, Worker], references: dict[str, Sequence[str]], progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Return the error rates of all decoders on words with all their pronunciations, greedy and with a beam."""
    words, right = list(references), [[text.split() for text in texts] for texts in references.values()]
    found = []
    for name, worker in workers.items():
        for beam in BEAMS:
            progress(f"{name}, beam {beam}: error rates")
            texts = worker.decode(words, 256, beam, 1)["texts"]
            errors = error_rates([text.split() for text in texts], right)
            wrong = {"WER": 100 * errors.sequence_error_rate, "PER": 100 * errors.token_error_rate}
            found.append({"decoder": name, "beam": beam, "words": len(words), **wrong})
    return found


def times(
    workers: dict[str, Worker], words: Sequence[str], turn: int, progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Time all decoders in turn, in another order each round, and return the seconds of the words of each visit.

    The words are the same in every cell: one after another, 32 a call, or all in one call.
    """
    found, names = [], list(workers)
    for batch in BATCHES:
        for beam in BEAMS:
            progress(f"round {turn + 1}: batch {batch}, beam {beam}")
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                time.sleep(SETTLE_SECONDS)
                first = workers[name].decode(words, batch, beam, 1)["seconds"][0]
                repeats = max(1, min(20, round(VISIT_SECONDS / first)))
                answer = workers[name].decode(words, batch, beam, repeats)
                visit = {"seconds": statistics.median(answer["seconds"]), "threads": answer["threads"]}
                found.append({"decoder": name, "batch": batch, "beam": beam, "words": len(words), **visit})
    return found

"""A user's program, which mypy and pyright check at their strictest (`make types`) and a test runs.

It uses the whole public surface with the types that a user would write down. `assert_type` says what the checkers have
to infer; lines that they have to refuse carry an ignore comment, and an ignore that isn't needed is an error too.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, assert_type

import numpy as np
from numpy.typing import NDArray

import s2s_runtime
from s2s_runtime import (
    DecoderState,
    DecodingOptions,
    FileReport,
    Hypothesis,
    Manifest,
    Model,
    Result,
    Results,
    S2SError,
    TargetScore,
    TokenEvent,
    Vocabulary,
)


def decode(model: Model, texts: Sequence[str]) -> list[str]:
    """Options are known by name and type."""
    results = model.generate(texts, beam_size=4, num_hypotheses=2, max_length_ratio=(2, 5), length_penalty_kind="gnmt")
    assert_type(results, Results)
    assert_type(results.engine, Literal["graph", "steps"] | None)
    best: Hypothesis = results[0].hypotheses[0]
    assert_type(best.score, float | None)
    assert_type(best.token_scores, list[float] | None)
    assert_type(best.attention, NDArray[np.float32] | None)
    return [result.text for result in results]


def mistakes(model: Model) -> None:
    """What checkers have to refuse: a wrong name, a wrong type, a wrong choice."""
    model.generate(["a"], beam_width=4)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    model.generate(["a"], beam_size="4")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    model.generate(["a"], batch_by="words")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    model.score(["a"], ["b"], beam_size=4)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    s2s_runtime.load(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def call_back(event: TokenEvent) -> bool:
    """Stops after two tokens."""
    assert_type(event.log_probability, float | None)
    return event.step >= 1


def allowed(step: int, tokens: list[int]) -> list[int]:
    """A grammar of nothing but capital A."""
    return [3] if step < 2 else [1]


def follow(model: Model, text: str) -> None:
    """Streams, iterators, files, states and scores."""
    pieces: Iterator[str] = model.stream(text, cancel=threading.Event())
    print("".join(pieces))
    one_by_one: Iterator[Result] = model.generate_iter((each for each in [text, text]), prefixes=["A", None])
    print([result.ids for result in one_by_one])
    stopped = model.generate([text], callback=call_back)[0].hypotheses[0].finish_reason
    print(stopped, model.generate([text], allowed_next=allowed)[0].text)
    scores: list[TargetScore] = model.score([text], ["A"], length_penalty=0.0)
    print(round(scores[0].log_probability, 2))
    state: DecoderState = model.encode([text])
    arrays: Mapping[str, NDArray[np.float32]] = state.arrays
    print(sorted(arrays), model.generate_from(model.advance(state, ["A"]))[0].tokens)
    report: FileReport = model.generate_file(Path("in.txt"), "out.txt", beam_size=2)
    print(report)


def predict(model: Model) -> None:
    """A fixed length gives an array, a stop function a list of arrays."""
    past = np.zeros((2, 3, 2), np.float32)
    assert_type(model.predict(past, steps=4), NDArray[np.float32])

    def above(values: NDArray[np.float32]) -> NDArray[np.bool_]:
        return values[:, -1, 0] > 0.5

    print([len(sequence) for sequence in assert_type(model.predict(past, stop=above), list[NDArray[np.float32]])])


def describe(model: Model) -> None:
    """What a bundle says about itself."""
    manifest: Manifest = model.manifest
    vocabulary: Vocabulary | None = model.target_vocabulary
    if vocabulary is not None:
        ids: list[int] = vocabulary.encode("AB")
        print(ids, vocabulary.decode(ids), manifest.target.end_ids)
    print(DecodingOptions(beam_size=3).pool)


def main(bundles: Sequence[str]) -> None:
    """Load each form, decode, and catch what may go wrong."""
    token_bundle, value_bundle = bundles
    files = {path.name: path.read_bytes() for path in Path(token_bundle).iterdir()}
    with s2s_runtime.load(files, providers=["cpu"], intra_op_threads=1) as model:
        print(decode(model, ["abc", "de"]))
        follow(model, "abc")
        describe(model)
        print(s2s_runtime.ensemble([model, model]).generate(["abc"])[0].to_dict()["source_tokens"])
    try:
        model.generate(["abc"])
    except S2SError as error:
        print(error)
    predict(s2s_runtime.load(Path(value_bundle)))


if __name__ == "__main__":
    main(sys.argv[1:])

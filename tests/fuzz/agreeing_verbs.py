"""Every verb gives the same for the same input and options: one by one, together, in any order, by any engine.

Each source decoded by itself is what all others are compared with. Where two candidates are nearer to each other than
rounding, another number of rows may decide between them: such a near tie is told by noise, a hundred times as large as
rounding, that changes the result of the source decoded by itself.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from agreeing_cases import FIXTURES, Options, make, model_named, realised
from harness import BrokenPromiseError, Case, Harness
from numpy_models import NoisyModel
from typer.testing import CliRunner

from s2s_runtime import Decoder, DecodingOptions, Model, Result, S2SError
from s2s_runtime.commands import decode
from s2s_runtime.declared_options import declared

_NOISE: Final = 2e-5  # logits of these models are of the order of ten, and rounded to a millionth
_TRIALS: Final = 24
_TOLERANCE: Final = 1e-4


class Decoded:
    """Sources and options, and what a verb needs of them."""

    def __init__(self, case: Case, model: Model) -> None:
        self.model = model
        self.sources: list[Any] = case["sources"]
        self.order: list[int] = case["order"]
        self.options = realised(case["options"], case["model"])
        self.prefixes: list[Any] | None = self.options.pop("prefix", None)

    def generate(self, indices: Sequence[int], **more: Any) -> list[Result]:
        """Decode some of the sources together."""
        prefix = {} if self.prefixes is None else {"prefix": [self.prefixes[i] for i in indices]}
        return self.model.generate([self.sources[i] for i in indices], **{**self.options, **prefix, **more})

    def alone(self) -> list[Result]:
        """Decode each source by itself."""
        return [self.generate([i])[0] for i in range(len(self.sources))]


def _in_order(decoded: Decoded, **more: Any) -> list[Any]:
    return list(decoded.generate(range(len(decoded.sources)), **more))


def _shuffled(decoded: Decoded) -> list[Any]:
    results = decoded.generate(decoded.order)
    return [results[decoded.order.index(i)] for i in range(len(results))]


def _by_workers(decoded: Decoded) -> list[Any]:
    count = len(decoded.sources)
    results = decoded.generate([i for i in range(count) for _ in range(9)], max_batch_size=2)
    return results[::9]


def _iterated(decoded: Decoded) -> list[Any]:
    given = {"prefixes": decoded.prefixes, "read_ahead": 3}
    return list(decoded.model.generate_iter(iter(decoded.sources), **given, **decoded.options))


def _streamed(decoded: Decoded) -> list[Any]:
    texts = []
    for i, source in enumerate(decoded.sources):
        prefix = {} if decoded.prefixes is None else {"prefix": [decoded.prefixes[i]]}
        texts.append("".join(decoded.model.stream(source, **decoded.options, **prefix)))
    return texts


def _batched(decoded: Decoded) -> list[Any]:
    with Decoder(decoded.model, **decoded.options) as decoder:
        futures = [decoder.submit(source) for source in decoded.sources]
        return [future.result(60) for future in futures]


def _from_states(decoded: Decoded) -> list[Any]:
    model, results = decoded.model, []
    for i, source in enumerate(decoded.sources):
        prefix = {} if decoded.prefixes is None else {"prefix": [decoded.prefixes[i]]}
        state = model.encode([source], unknown_symbols=decoded.options.get("unknown_symbols"))
        results += model.generate_from(state, **decoded.options, **prefix)
    return results


def _from_a_file(decoded: Decoded) -> list[Any]:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in"), Path(folder, "out")
        source.write_text("".join(f"{_line(row)}\n" for row in decoded.sources), encoding="utf-8")
        decoded.model.generate_file(source, target, read_ahead=3, **decoded.options)
        return target.read_text(encoding="utf-8").splitlines()


def _typed(decoded: Decoded, name: str) -> list[Any]:
    """Decode by the command, in this process; options are typed by their declared flags."""
    typed = ["--json", "--keep-empty"]
    for key, value in decoded.options.items():
        if key == "return_scores":
            continue  # shown anyway
        option = declared(DecodingOptions)[key].option
        flag = (option.flags or [f"--{key.replace('_', '-')}"])[0]
        for one in value if isinstance(value, list) else [value]:
            typed += [flag] if one is True else [flag, ",".join(map(str, one)) if isinstance(one, tuple) else str(one)]
    lines = "".join(f"{_line(row)}\n" for row in decoded.sources)
    done = CliRunner().invoke(decode.app, [str(FIXTURES / f"{name}.s2s"), *typed], input=lines)
    if done.exit_code:
        raise S2SError(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def _line(row: Any) -> str:
    return row if isinstance(row, str) else " ".join(map(str, row))


def verbs(case: Case, decoded: Decoded) -> Iterator[tuple[str, Callable[[], list[Any]]]]:
    """Yield the verbs that take these options and sources, each with its call."""
    given, model = set(decoded.options), decoded.model
    known = declared(DecodingOptions)

    def takes(verb: str) -> bool:
        return all(verb not in known[name].option.not_for for name in given)

    yield "generate", lambda: _in_order(decoded)
    yield "generate, batches of 2", lambda: _in_order(decoded, max_batch_size=2)
    yield "generate, tokens", lambda: _in_order(decoded, max_batch_size=20, batch_by="tokens")
    yield "generate, shuffled", lambda: _shuffled(decoded)
    if "engine" not in given:
        yield "generate, step by step", lambda: _in_order(decoded, engine="steps")
    if "callback" not in given:
        yield "generate, by workers", lambda: _by_workers(decoded)
    yield "generate_iter", lambda: _iterated(decoded)
    if takes("stream") and decoded.options.get("engine") != "graph":
        yield "stream", lambda: _streamed(decoded)
    if takes("Decoder") and decoded.prefixes is None:
        yield "Decoder", lambda: _batched(decoded)
    lines = not model.manifest.source.others
    plain = decoded.prefixes is None and lines and decoded.options.get("on_error", "raise") == "raise"
    if plain and decoded.options.get("num_hypotheses", 1) == 1:
        yield "generate_file", lambda: _from_a_file(decoded)
    functions = {
        "allowed_next",
        "allowed_sequences",
        "bias",
        "callback",
        "internal_language_model",
        "language_model",
        "lexicon",
        "logits_processor",
        "suppress_sequences",
        "prefix",
        "required_phrases",
        "return_end_token",
    }
    if plain and not case["model"].isdigit() and not given & functions and _can_be_typed(decoded.options):
        yield "s2s-decode", lambda: _typed(decoded, case["model"])
    portable = not case["model"].isdigit() and all(len(_first(row)) for row in decoded.sources)
    from_states = (
        takes("generate_from") and portable and decoded.options.get("engine") != "graph"
    )  # stepped, as streams
    if from_states and "max_source_length" not in given and _is_readable(decoded):
        yield "generate_from", lambda: _from_states(decoded)


def _first(row: Any) -> Any:
    return next(iter(row.values())) if isinstance(row, dict) else row


def _is_readable(decoded: Decoded) -> bool:
    return not any("\N{SNOWMAN}" in _first(row) for row in decoded.sources)


def _can_be_typed(options: Options) -> bool:
    if options.get("engine") == "graph":
        return False  # --json shows scores, which the graph of greedy search doesn't give
    tokens = [token for value in options.values() if isinstance(value, list) for token in value]
    return not any(isinstance(token, str) and not token.strip() for token in tokens) and "end_tokens" not in options


# Comparing


def check(case: Case) -> str:
    """Decode by every verb and compare with each source by itself."""
    model = model_named(case["model"])
    decoded = Decoded(case, model)
    expected = _attempt(decoded.alone)
    ties = False
    for verb, call in verbs(case, decoded):
        found = _attempt(call)
        if isinstance(found, S2SError) != isinstance(expected, S2SError):
            raise BrokenPromiseError(f"{verb}: {_shown(found)} where each by itself gives {_shown(expected)}")
        if isinstance(found, S2SError) or isinstance(expected, S2SError):
            continue
        if len(found) != len(expected):
            raise BrokenPromiseError(f"{verb}: {len(found)} results of {len(expected)}")
        for i, (one, other) in enumerate(zip(expected, found, strict=True)):
            if not _equal(one, other):
                if not _is_near_tie(case, i):
                    raise BrokenPromiseError(f"{verb}: source {i}: {_shown(other)} where by itself {_shown(one)}")
                ties = True
    if isinstance(expected, S2SError):
        return "one error"
    return "equal but for near ties" if ties else "equal"


def _attempt(call: Callable[[], list[Any]]) -> list[Any] | S2SError:
    try:
        return call()
    except S2SError as error:
        return error


def _shown(result: Any) -> str:
    if isinstance(result, list):
        return f"[{', '.join(map(_shown, result))}]"
    return str(result.to_dict()) if isinstance(result, Result) else repr(result)


def _equal(expected: Result, found: Any) -> bool:
    """Return whether a result, its text, or its JSON says what another says."""
    if isinstance(found, str):
        return found == " ".join(expected.text.splitlines()) or found == expected.text
    if isinstance(found, Result):
        return _close(_without_places(expected.to_dict()), _without_places(found.to_dict()))
    written = json.loads(json.dumps(expected.to_dict()))
    return all(_close(written[key], _as_asked(found[key], written[key])) for key in written)


def _as_asked(found: Any, written: Any) -> Any:
    """Return what the command wrote, parts too, without the scores that nobody asked for: it always computes them."""
    if isinstance(found, dict) and isinstance(written, dict):
        kept = {key: value for key, value in found.items() if key != "score" or key in written}
        return {key: _as_asked(value, written.get(key)) for key, value in kept.items()}
    if isinstance(found, list) and isinstance(written, list) and len(found) == len(written):
        return [_as_asked(one, other) for one, other in zip(found, written, strict=True)]
    return found


def _without_places(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: bool(value) if key == "error" else value for key, value in values.items()}


def _close(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_close(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_close, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return bool(np.isclose(one, other, rtol=_TOLERANCE, atol=_TOLERANCE))
    return bool(one == other)


def _is_near_tie(case: Case, index: int) -> bool:
    """Return whether noise a hundred times as large as rounding changes what a source by itself gives."""
    model = model_named(case["model"])
    results = []
    for trial in range(_TRIALS):
        noisy = Model(model.manifest, NoisyModel(model.step_model, _NOISE, trial))
        decoded = Decoded(case, noisy)
        decoded.options["engine"] = "steps"
        results.append(decoded.generate([index])[0])
    return not all(_equal(results[0], result) for result in results)


HARNESS = Harness(name="agreeing verbs", make=make, check=check, prepare=lambda: model_named("tiny"), seconds=20.0)

"""Junk for every public function of the runtime, by its signature: it returns or raises an `S2SError`, nothing else.

Arguments are Python expressions, so that a case can be read and typed again.
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any

import numpy as np
from harness import BrokenPromiseError, Case, Harness
from places import FIXTURES

import s2s_runtime
from s2s_runtime import DecodingOptions, Model, S2SError

# One that a call would accept is left to `BASES`; here is what people hand over by mistake, and extremes.
JUNK = (
    *("None", "True", "0", "1", "-1", "2**31", "2**63", "10**12", "-(10**30)", "0.5", "float('nan')", "float('inf')"),
    *(
        "1j",
        "''",
        "'a'",
        "'abc'",
        "' '",
        "'\\x00'",
        "'\\ud800'",
        "'a' * 100_000",
        "'é\\u0301'",
        "b'abc'",
        "bytearray(b'a')",
    ),
    *(
        "[]",
        "[[]]",
        "[[[]]]",
        "[None]",
        "['abc']",
        "['']",
        "['abc', None]",
        "['abc', 1]",
        "[[1, 2], [3]]",
        "[[1, 'a']]",
    ),
    *(
        "[[-1]]",
        "[[10**6]]",
        "[[2**70]]",
        "[[1.5]]",
        "[[True]]",
        "[1, 2, 3]",
        "[[1] * 5000]",
        "[['a']]",
        "()",
        "('abc',)",
    ),
    *("{}", "{'a': 1}", "{1: 'a'}", "{'source': ['abc']}", "set()", "{'abc'}", "frozenset([1])", "object()", "print"),
    *("iter(['abc'])", "(x for x in [1])", "range(3)", "deep(50)", "deep(5000)", "itself()"),
    *("np.zeros((0,))", "np.zeros((0, 3), int)", "np.zeros((2, 0), int)", "np.ones((2, 3), int)", "np.ones((1, 2, 7))"),
    *(
        "np.ones((1, 2, 3, 4))",
        "np.array(5)",
        "np.array('a')",
        "np.array(['abc'])",
        "np.array([b'abc'])",
        "np.array(None)",
    ),
    *("np.ones((1, 3), bool)", "np.ones((1, 3), np.uint64) * (2**64 - 1)", "np.ones((1, 3), complex)", "np.float32(1)"),
    *("np.int8(1)", "np.full((1, 2, 2), np.nan)", "np.ones((1, 3), np.float16)", "np.array([[1, 'a']], object)"),
    *(
        "np.array(['2020-01-01'], 'datetime64[D]')",
        "np.ma.masked_array([[1, 2]], [[0, 1]])",
        "np.zeros(2, [('a', int)])",
    ),
    *("Path('/')", "Path('no such place')", "Path('/dev/null')", "open(os.devnull)", "memoryview(b'ab')", "raising()"),
)
# What a call accepts, to alter one thing at a time.
BASES: dict[str, dict[str, str]] = {
    "load": {"path": "TINY"},
    "read_manifest": {"bundle": "TINY"},
    "ensemble": {"models": "[tiny, tiny]"},
    "Vocabulary": {"unit": "'char'", "symbols": "('<pad>', 'a', 'b')", "padding": "'<pad>'"},
    "VocabularyFile": {"source": "None", "target": "tiny.target_vocabulary", "padding": "tiny.manifest.padding"},
    "Vocabulary.from_dict": {"data": "tiny.source_vocabulary.to_dict()"},
    "VocabularyFile.from_dict": {"data": "{'format': 1}"},
    "VocabularyFile.read": {"path": "'no such file'"},
    "Manifest.from_dict": {"data": "tiny.manifest.to_dict()"},
    "PaddingPolicy": {"masked": "True"},
    "DecodingOptions": {},
    "Decoder": {"model": "tiny"},
    "tiny.generate": {"inputs": "['abc']"},
    "onehot.generate": {"inputs": "['ab']"},
    "values.predict": {"inputs": "np.ones((1, 3, 2), np.float32)"},
    "tiny.generate_iter": {"inputs": "['abc']"},
    "tiny.generate_file": {"source": "'sources.txt'", "target": "'out.txt'"},
    "tiny.stream": {"source": "'abc'"},
    "tiny.score": {"inputs": "['abc']", "targets": "['AB']"},
    "tiny.encode": {"inputs": "['abc']"},
    "tiny.advance": {"state": "tiny.encode(['abc'])", "tokens": "[3]"},
    "tiny.generate_from": {"state": "tiny.encode(['abc'])"},
    "tiny.predict": {"inputs": "['abc']"},
    "tiny.prepare": {},
    "decoder.submit": {"source": "'abc'"},
    "tiny.source_vocabulary.encode": {"text": "'abc'"},
    "tiny.source_vocabulary.split": {"text": "'abc'"},
    "tiny.target_vocabulary.decode": {"ids": "[3, 4]"},
    "tiny.target_vocabulary.tokens": {"ids": "[3, 4]"},
}

INTERNAL = ("where", "folder")
"""What only our own readers of files say: where in a document something stands."""


def deep(depth: int) -> list[Any]:
    """A list in a list in a list."""
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    return nested


def itself() -> list[Any]:
    """A list that holds itself."""
    loop: list[Any] = []
    loop.append(loop)
    return loop


class Raising:
    """Something whose every use raises what no library expects."""

    def __len__(self) -> int:
        raise S2SError("no length")

    def __iter__(self) -> Iterator[Any]:
        raise S2SError("no items")


@cache
def names() -> dict[str, Any]:
    """What expressions may use."""
    load = {
        name: s2s_runtime.load(FIXTURES / f"{bundle}.s2s")
        for name, bundle in (("tiny", "tiny"), ("onehot", "tiny-onehot"), ("values", "tiny-values"))
    }
    public = {name: getattr(s2s_runtime, name) for name in s2s_runtime.__all__}
    more = {"np": np, "os": os, "Path": __import__("pathlib").Path, "deep": deep, "itself": itself, "raising": Raising}
    return {**public, **load, **more, "TINY": FIXTURES / "tiny.s2s", "decoder": s2s_runtime.Decoder(load["tiny"])}


def parameters(function: Callable[..., Any], more: Callable[[], Sequence[str]]) -> list[str]:
    """The names of arguments that a function takes; where it takes any, those that `more` knows of too."""
    signature = inspect.signature(function).parameters.values()
    named = [p.name for p in signature if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name not in INTERNAL]
    return [*named, *more()] if any(p.kind == p.VAR_KEYWORD for p in signature) else named


@dataclass(frozen=True)
class JunkCalls:
    """Calls that are drawn with junk for some of their arguments.

    Attributes:
        bases: by the expression of what is called, the expressions of arguments that it accepts.
        names: gives what expressions may use, made once.
        options: gives the names of arguments that calls take which take any.
        junk: expressions of what is handed over.
        called: arguments that are called, so that what a function in their place raises is its own.
        errors: what may be raised beside `S2SError`, by the beginning of what is called.
    """

    bases: Mapping[str, Mapping[str, str]]
    names: Callable[[], Mapping[str, Any]]
    options: Callable[[], Sequence[str]]
    junk: Sequence[str] = JUNK
    called: frozenset[str] = frozenset()
    errors: Mapping[str, tuple[type[Exception], ...]] = field(default_factory=dict)

    def value(self, expression: str) -> Any:
        """What an expression stands for, made anew."""
        return eval(expression, dict(self.names()))

    def make(self, random: Random) -> Case:
        """Draw a call, and junk for one to three of its arguments."""
        call = random.choice(sorted(self.bases))
        arguments = dict(self.bases[call])
        known = parameters(self.value(call), self.options)
        for _ in range(random.choice([1, 1, 1, 2, 3])):
            expression = random.choice(self.junk)
            if random.random() < 0.15:
                expression = f"[{expression}, {random.choice(self.junk)}]"
            name = random.choice(known)
            if name not in self.called or not callable(self.value(expression)):
                arguments[name] = expression
        return {"call": call, "arguments": arguments}

    def check(self, case: Case) -> str:
        """Call in a folder of its own; use up what comes lazily."""
        here = os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                with open("sources.txt", "w", encoding="utf-8") as sources:
                    sources.write("abc\ncab\n")
                function = self.value(case["call"])
                arguments = {name: self.value(expression) for name, expression in case["arguments"].items()}
                _used(function(**arguments))
            except S2SError as error:
                if not str(error).strip() or "\n" in str(error) or len(str(error)) > 3000:
                    raise BrokenPromiseError(f"the message isn't one line: {str(error)[:300]!r}") from error
                return "one error"
            except OSError:
                return "no such file"  # as the system says it, for the path of one
            except tuple(
                error for start, some in self.errors.items() if case["call"].startswith(start) for error in some
            ):
                return "one error, as documented"
            finally:
                os.chdir(here)
        return "returned"


def _used(result: Any) -> None:
    """Take what is computed when it is asked for, and close what was opened."""
    if isinstance(result, Future):
        result.result(timeout=20)
    elif inspect.isgenerator(result) or isinstance(result, Iterator):
        list(itertools.islice(result, 100))
    if isinstance(result, Model | s2s_runtime.Decoder):
        result.close()


CALLS = JunkCalls(BASES, names, lambda: [option.name for option in dataclasses.fields(DecodingOptions)])
HARNESS = Harness(name="junk", make=CALLS.make, check=CALLS.check, prepare=names)

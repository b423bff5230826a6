"""Manifests and vocabularies with one thing altered: each is read as what it was, or is one error."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from functools import cache
from typing import Any

from harness import BrokenPromiseError, Case, Harness
from places import FIXTURES

from s2s_runtime import BundleError, Manifest, VocabularyError, VocabularyFile, read_manifest
from s2s_runtime.files.json_fields import digest

BUNDLES = [FIXTURES / "format-1" / "run" / "model.s2s", *sorted(FIXTURES.glob("tiny*.s2s"))]
OTHERS: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    3,
    10**18,
    0.5,
    float("inf"),
    "",
    "a",
    "\ufeffa",
    "ids",
    [],
    {},
    [1],
]

Place = tuple[Any, Any]
"""A container and the key or index of one thing in it."""


@cache
def originals() -> list[tuple[dict[str, Any], dict[str, Any], Manifest]]:
    """The manifests of the fixtures, each with its own digest as an exporter of today writes it; their vocabularies."""
    found = []
    for bundle in BUNDLES:
        data, read = json.loads((bundle / "manifest.json").read_bytes()), read_manifest(bundle)
        file = VocabularyFile(read.source_vocabulary, read.target_vocabulary, read.padding, read.target.max_length)
        found.append(({**data, "sha256": digest(data)}, file.to_dict(), read))
    return found


def places(data: Any) -> list[Place]:
    """Everything that stands in a document."""
    items = list(data.items()) if isinstance(data, dict) else list(enumerate(data)) if isinstance(data, list) else []
    return [(data, key) for key, _ in items] + [place for _, item in items for place in places(item)]


def _other_type(value: Any) -> Any:
    return str(value) if not isinstance(value, str) else [value]


def _nudge(value: Any, chance: random.Random) -> Any:
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int | float):
        return value + chance.choice([-2, -1, 1, 2, 10**6])
    if isinstance(value, str):
        i = chance.randrange(len(value) + 1)
        return value[:i] + chance.choice(["\ufeff", "x", " ", "\x00", "é", "/"]) + value[i + chance.randrange(2) :]
    return value


def alter(data: Any, chance: random.Random) -> str:
    """Alter one thing of a document in place; say what was done, to be read in a failure."""
    container, key = chance.choice(places(data))
    before = copy.deepcopy(container[key])

    def swap() -> None:
        other = chance.choice(places(data))
        container[key], other[0][other[1]] = copy.deepcopy(other[0][other[1]]), copy.deepcopy(before)

    def rename() -> None:
        if isinstance(container, dict):
            container[f"{key}{chance.choice(['s', '_', ' '])}"] = container.pop(key)

    def more() -> None:
        if isinstance(container, list):
            container.insert(chance.randrange(len(container) + 1), copy.deepcopy(before))
        else:
            container[f"{key}{chance.randrange(9)}"] = copy.deepcopy(before)

    changes: list[Callable[[], object]] = [
        lambda: container.pop(key),
        lambda: container.__setitem__(key, copy.deepcopy(chance.choice(OTHERS))),
        lambda: container.__setitem__(key, _other_type(before)),
        lambda: container.__setitem__(key, _nudge(before, chance)),
        swap,
        rename,
        more,
    ]
    i = chance.randrange(len(changes))
    changes[i]()
    return f"change {i} at {key!r}, where {str(before)[:60]!r} stood"


def make(chance: random.Random) -> Case:
    """Alter a manifest, one without its own digest (as older bundles are), or a vocabulary file."""
    index = chance.randrange(len(BUNDLES))
    manifest, vocabulary, _ = originals()[index]
    kind = chance.choice(["manifest", "manifest", "manifest without digest", "vocabulary"])
    data = copy.deepcopy(vocabulary if kind == "vocabulary" else manifest)
    if kind == "manifest without digest":
        del data["sha256"]
    return {"kind": kind, "bundle": index, "done": alter(data, chance), "data": data}


def check(case: Case) -> str:
    """Read what was altered. A manifest with its digest that is read in silence has to be the one it was."""
    kind, error = case["kind"], VocabularyError if case["kind"] == "vocabulary" else BundleError
    read = VocabularyFile.from_dict if kind == "vocabulary" else Manifest.from_dict
    try:
        found = read(copy.deepcopy(case["data"]))
    except error:
        return f"{kind}: one error"
    if kind != "manifest":
        return f"{kind}: read"
    if found != originals()[case["bundle"]][2]:
        raise BrokenPromiseError(f"silent: {case['done']}")
    return f"{kind}: equal"


HARNESS = Harness(name="altered manifests", make=make, check=check, prepare=originals, share=0.5)

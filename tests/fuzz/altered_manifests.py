"""Manifests and vocabularies with one thing altered: each is read as what it was, or is one error.

`python tests/fuzz/altered_manifests.py 100000 [SEED]` tries so many and prints what came of them.
"""

from __future__ import annotations

import copy
import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from s2s_runtime import BundleError, Manifest, VocabularyError, VocabularyFile, read_manifest
from s2s_runtime.files.json_fields import digest

FIXTURES = Path(__file__).parents[1] / "fixtures"
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


def originals() -> list[tuple[dict[str, Any], Path]]:
    """The manifests of the fixtures, each with its own digest as an exporter of today writes it."""
    found = []
    for bundle in BUNDLES:
        data = json.loads((bundle / "manifest.json").read_bytes())
        found.append(({**data, "sha256": digest(data)}, bundle))
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


def try_manifest(original: dict[str, Any], expected: Manifest, chance: random.Random) -> str:
    """Alter a manifest and read it: what came of it. The one that is read in silence has to be the one it was."""
    data = copy.deepcopy(original)
    done = alter(data, chance)
    try:
        found = Manifest.from_dict(data)
    except BundleError:
        return "one error"
    assert found == expected, f"silent: {done}"
    return "equal"


def try_old_manifest(original: dict[str, Any], chance: random.Random) -> str:
    """The same without the manifest's own digest, as older bundles are: it is read, or it is one error, no other."""
    data = {name: value for name, value in copy.deepcopy(original).items() if name != "sha256"}
    alter(data, chance)
    try:
        Manifest.from_dict(data)
    except BundleError:
        return "one error, without digest"
    return "read, without digest"


def try_vocabulary(original: dict[str, Any], chance: random.Random) -> str:
    """Alter a vocabulary file: it is read, or it is one error, no other."""
    data = copy.deepcopy(original)
    alter(data, chance)
    try:
        VocabularyFile.from_dict(data)
    except VocabularyError:
        return "one error, vocabulary"
    return "read, vocabulary"


def try_many(count: int, seed: int) -> Counter[str]:
    """Alter so many documents."""
    chance, outcomes = random.Random(seed), Counter[str]()
    known = [(data, read_manifest(bundle)) for data, bundle in originals()]
    files = [
        VocabularyFile(each.source_vocabulary, each.target_vocabulary, each.padding, each.target.max_length).to_dict()
        for _, each in known
    ]
    for i in range(count):
        index = chance.randrange(len(known))
        if i % 4 == 2:
            outcomes[try_old_manifest(known[index][0], chance)] += 1
        elif i % 4 == 3:
            outcomes[try_vocabulary(files[index], chance)] += 1
        else:
            outcomes[try_manifest(*known[index], chance)] += 1
    return outcomes


if __name__ == "__main__":
    for outcome, times in sorted(try_many(int(sys.argv[1]), int((sys.argv[2:] or ["0"])[0])).items()):
        sys.stdout.write(f"{times:8} {outcome}\n")

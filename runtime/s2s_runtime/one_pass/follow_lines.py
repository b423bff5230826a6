"""Following lines as they come: each is a reading, and is answered before the next is read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import numpy as np

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.errors import InputError
from s2s_runtime.one_pass.following import Following, Position, Reading
from s2s_runtime.spelling import shown


def follow_lines(following: Following, manifest: Manifest, lines: Iterable[str], *, as_json: bool) -> Iterator[str]:
    """Yield the answer to each line: the symbol or the values of its position. An empty line begins a new sequence.

    Args:
        following: what is followed.
        manifest: manifest of its bundle.
        lines: a symbol or an id each, or numbers separated by spaces, commas or tabs where the source is values.
        as_json: whether answers are objects with all that is known.

    Raises:
        InputError: a line can't be read; the message has its number.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            following.restart()
            yield ""
            continue
        try:
            made = following.advance(_reading(line, manifest))
        except InputError as error:
            reason = str(error).removeprefix(f"reading {following.position}: ")
            raise InputError(f"line {number}: {reason}") from error
        yield _written(made, following.position - 1, as_json=as_json)


def _reading(line: str, manifest: Manifest) -> Reading:
    if manifest.source.kind == "values":
        try:
            return [float(part) for part in line.replace(",", " ").split()]
        except ValueError as error:
            raise InputError(f"expected {manifest.source.size} numbers, got {shown(line)}") from error
    if manifest.source_vocabulary is not None:
        return line
    try:
        return int(line)
    except ValueError as error:
        raise InputError(f"expected an id, as this bundle has no source vocabulary; got {shown(line)}") from error


def _written(made: Position | np.ndarray, position: int, *, as_json: bool) -> str:
    if isinstance(made, Position):
        if not as_json:
            return str(made.token)
        score = float(made.log_probabilities[made.id])
        return json.dumps(
            {"position": position, "token": made.token, "id": made.id, "score": score}, ensure_ascii=False
        )
    if as_json:
        return json.dumps({"position": position, "values": made.tolist()})
    return " ".join(f"{value:.9g}" for value in made.tolist())

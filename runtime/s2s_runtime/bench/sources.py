"""Sources to decode: random ones, or the lines of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from s2s_runtime.bundle.manifest import Manifest, OtherSource, SourceSpec
from s2s_runtime.decoding.text_files import numbers
from s2s_runtime.errors import InputError, UnknownSymbolError
from s2s_runtime.files.text_source import open_text
from s2s_runtime.inputs.sources import read_sources
from s2s_runtime.language_models.prompts import read_prompts
from s2s_runtime.vocabulary.padding import PaddingPolicy

_MOST_STEPS = 1000  # of the target, for which something is known in advance, where nothing says how long it gets


def random_sources(manifest: Manifest, count: int, length: int, seed: int = 0) -> list[Any]:
    """Return random sources for a bundle: random ids, or values from a normal distribution.

    For a model of several sources, each is a mapping from the names of the sources to ids or values.

    Args:
        manifest: manifest of the bundle.
        count: number of sources.
        length: length of the longest in tokens or steps; each is between half of it and all of it.
        seed: seed of the generator.
    """
    random = np.random.default_rng(seed)
    longest = min(length, manifest.padding.length or length)
    if manifest.kind == "decoder-only":  # of a text that is to be written, one symbol is given
        target = manifest.target
        never = {target.start_id, target.padding_id, target.unknown_id, *target.end_ids}
        return [random.choice([i for i in range(target.size) if i not in never], size=1) for _ in range(count)]
    lengths = random.integers((longest + 1) // 2, longest + 1, size=count)
    source = manifest.source
    shapes = [tensor.shape[1:] for tensor in source.inputs]
    first = _random_rows(random, source, manifest.padding, lengths, shapes[0])
    if not source.others:
        return first
    most = np.full(count, manifest.target.max_length or _MOST_STEPS)
    beside = zip(source.others, shapes[1:], strict=True)
    others = [_random_rows(random, o, o.padding, most if o.known else lengths, shape) for o, shape in beside]
    return [dict(zip(source.names, rows, strict=True)) for rows in zip(first, *others, strict=True)]


def _random_rows(
    random: np.random.Generator,
    source: SourceSpec | OtherSource,
    padding: PaddingPolicy,
    lengths: np.ndarray,
    shape: tuple[Any, ...],
) -> list[np.ndarray]:
    if source.kind == "vector":
        return list(random.normal(size=(len(lengths), *shape)).astype(np.float32))
    if source.kind == "values":
        return [random.normal(size=(length, source.size)).astype(np.float32) for length in lengths]
    ids = [token for token in range(source.size) if token != padding.id]
    return [random.choice(ids, size=min(length, padding.length or length)) for length in lengths]


def read_lines(path: Path, *manifests: Manifest, encoding: str | None = None) -> list[Any]:
    """Return the lines of a text file that aren't empty, as bundles read them: texts, or ids without a vocabulary.

    Args:
        path: the file.
        manifests: manifests of the bundles that are to decode them; the first says what the lines are.
        encoding: encoding of the file; None = UTF-8.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the file isn't in that encoding or is empty, or one of the bundles can't decode a line, named by its
            number.
    """
    sources: list[Any] = []
    with open_text(path, encoding) as opened:
        lines = [(f"{path}, line {number}", line) for number, line in opened.lines() if line.strip()]
    for where, line in lines:
        source = line if manifests[0].input_vocabulary is not None else numbers(line, where, "source")
        for manifest in manifests:
            try:
                (read_prompts if manifest.kind == "decoder-only" else read_sources)([source], manifest)
            except (InputError, UnknownSymbolError) as error:
                raise InputError(f"{where}: {error.reason or error}") from error
        sources.append(source)
    if not sources:
        raise InputError(f"{path}: expected at least one line of text, got none")
    return sources

"""Sources to decode: made up, or the lines of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from s2s_runtime.bundle.manifest import Manifest, OtherSource, SourceSpec
from s2s_runtime.decoding.text_files import numbers
from s2s_runtime.errors import InputError, UnknownSymbolError
from s2s_runtime.files.text_source import open_text
from s2s_runtime.inputs.sources import read_sources
from s2s_runtime.vocabulary.padding import PaddingPolicy


def random_sources(manifest: Manifest, count: int, length: int, seed: int = 0) -> list[Any]:
    """Sources made up for a bundle: random ids, or values from a normal distribution.

    For a model of several sources each is a mapping from their names to such.

    Args:
        manifest: of the bundle.
        count: how many.
        length: of the longest; each is between half of it and all of it.
        seed: of the generator.
    """
    random = np.random.default_rng(seed)
    longest = min(length, manifest.padding.length or length)
    lengths = random.integers((longest + 1) // 2, longest + 1, size=count)
    source = manifest.source
    first = _random_rows(random, source, manifest.padding, lengths)
    if not source.others:
        return first
    others = [_random_rows(random, other, other.padding, lengths) for other in source.others]
    return [dict(zip(source.names, rows, strict=True)) for rows in zip(first, *others, strict=True)]


def _random_rows(
    random: np.random.Generator, source: SourceSpec | OtherSource, padding: PaddingPolicy, lengths: np.ndarray
) -> list[np.ndarray]:
    if source.kind == "vector":
        return [random.normal(size=source.size).astype(np.float32) for _ in lengths]
    if source.kind == "values":
        return [random.normal(size=(each, source.size)).astype(np.float32) for each in lengths]
    ids = [token for token in range(source.size) if token != padding.id]
    return [random.choice(ids, size=min(each, padding.length or each)) for each in lengths]


def read_lines(path: Path, *manifests: Manifest, encoding: str | None = None) -> list[Any]:
    """The lines of a text file that hold anything, as bundles read them: texts, or ids without a source vocabulary.

    Args:
        path: the file.
        manifests: of the bundles that are to decode them; the first says what the lines are.
        encoding: of the file; None = UTF-8.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: it isn't in that encoding, or holds nothing; or a line that one of the bundles can't decode, by its
            number.
    """
    sources: list[Any] = []
    with open_text(path, encoding) as opened:
        lines = [(f"{path}, line {number}", line) for number, line in opened.lines() if line.strip()]
    for where, line in lines:
        source = line if manifests[0].source_vocabulary is not None else numbers(line, where, "source")
        for manifest in manifests:
            try:
                read_sources([source], manifest)
            except (InputError, UnknownSymbolError) as error:
                raise InputError(f"{where}: {error.reason or error}") from error
        sources.append(source)
    if not sources:
        raise InputError(f"{path}: expected at least one line of text, got none")
    return sources

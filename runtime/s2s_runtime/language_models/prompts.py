"""What a language model is given: prompts, the first tokens of what it writes, in the place of sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.declared_options.checks import is_integer
from s2s_runtime.errors import InputError, S2SError, UnknownSymbolError
from s2s_runtime.inputs.given_rows import row_in, rows_in
from s2s_runtime.inputs.sources import Inputs, Source, Sources
from s2s_runtime.options.types import UnknownPolicy

_NOTHING: Final[Source] = np.zeros(0, np.int64)
_NO_START: Final = "empty, and this language model has no start token: give at least one symbol for it to go on from"


def needs_prompt(manifest: Manifest) -> bool:
    """Return whether a bundle's model is a language model without a start token, so that a prompt has to begin."""
    return manifest.kind == "decoder-only" and manifest.target.start_id is None


def read_prompts(
    inputs: Inputs,
    manifest: Manifest,
    policy: UnknownPolicy | None = None,
    first: int = 0,
    *,
    errors: dict[int, S2SError] | None = None,
    most: int | None = None,
) -> tuple[Sources, list[list[int]]]:
    """Return a source for each prompt, which stands for none, and the ids of the prompts.

    Args:
        inputs: texts, where the bundle has a target vocabulary; lists of ids of any lengths; an integer array
            (prompts, time).
        manifest: of the bundle.
        policy: what becomes of symbols that the vocabulary lacks; None = the vocabulary's own way.
        first: how many inputs came before these, for messages.
        errors: takes the errors of single rows by their index; None = they are raised.
        most: most tokens that a prompt may have; None = any number.

    Raises:
        InputError: wrong type or range, too long, padding, or an end token, after which nothing follows.
        UnknownSymbolError: a text holds a symbol that the vocabulary doesn't.
    """
    prompts: list[list[int]] = []
    unknown: dict[int, list[str]] = {}
    for i, row in enumerate(rows_in(inputs)):
        try:
            ids, missing = _read(first + i, row, manifest, policy)
            if most is not None and len(ids) > most:
                raise InputError.at(
                    "inputs", first + i, f"{len(ids)} tokens; expected at most {most} (max_source_length)"
                )
        except (InputError, UnknownSymbolError) as error:
            if errors is None:
                raise
            errors[i] = error
            ids, missing = [], []
        prompts.append(ids)
        if missing:
            unknown[i] = missing
    failed = {} if errors is None else errors
    arrays = [_NOTHING if i in failed else np.zeros(1, np.int64) for i in range(len(prompts))]
    return Sources(arrays, unknown, [()] * len(prompts), [None] * len(prompts)), prompts


def begin(
    sources: Sources,
    texts: Sequence[Sequence[int]],
    manifest: Manifest,
    first: int = 0,
    errors: dict[int, S2SError] | None = None,
) -> None:
    """Put the token that each text begins with in the place of its source, where the model has no start token.

    Args:
        sources: what `read_prompts` gave.
        texts: ids of each prompt, and of what is given behind it.
        manifest: of the bundle.
        first: how many inputs came before these, for messages.
        errors: as `read_prompts` takes it.

    Raises:
        InputError: one has no token to begin with.
    """
    if not needs_prompt(manifest):
        return
    for i, text in enumerate(texts):
        if not len(sources.arrays[i]):
            continue
        if text:
            sources.arrays[i] = np.array([text[0]], np.int64)
            continue
        error = InputError.at("inputs", first + i, _NO_START)
        if errors is None:
            raise error
        errors[i], sources.arrays[i] = error, _NOTHING


def _read(index: int, row: Any, manifest: Manifest, policy: UnknownPolicy | None) -> tuple[list[int], list[str]]:
    """Return the ids of a prompt, and its symbols that the vocabulary lacks."""
    vocabulary, target = manifest.target_vocabulary, manifest.target
    row = row_in(row)
    if isinstance(row, str):
        if vocabulary is None:
            raise InputError.at("inputs", index, "expected ids, as this bundle has no target vocabulary, got a text")
        try:
            ids, missing = vocabulary.look_up(row, policy)
        except UnknownSymbolError as error:
            error.place = index
            raise
    else:
        ids, missing = list(row), []
        if not all(map(is_integer, ids)):
            raise InputError.at("inputs", index, f"expected a text or ids, got {row!r}")
        ids = [int(token) for token in ids]
    wrong = next((token for token in ids if not 0 <= token < target.size), None)
    if wrong is not None:
        raise InputError.at("inputs", index, f"expected ids from 0 to {target.size - 1}, got {wrong}")
    if target.padding_id is not None and target.padding_id in ids:
        raise InputError.at(
            "inputs", index, f"holds the padding token ({target.padding_id}), which is no symbol of a text"
        )
    if not set(ids).isdisjoint(target.end_ids):
        raise InputError.at("inputs", index, "holds an end token, after which nothing follows; leave it out")
    return ids, missing

"""A language model that reads what another model writes, matched token by token."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

import numpy as np

from s2s_runtime.array_types import Floats, Ints
from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.bundle.storage import MANIFEST
from s2s_runtime.declared_options.checks import is_integer
from s2s_runtime.errors import OptionError
from s2s_runtime.opening.step_models import open_bundle
from s2s_runtime.options.types import LanguageModel
from s2s_runtime.search.scoring import log_normalizer
from s2s_runtime.search.step_model import StepModel

if TYPE_CHECKING:
    from s2s_runtime.opening.step_models import AnyModel

_SHOWN: Final = 5  # tokens that a message lists


@dataclass(slots=True)
class Reading:
    """What a language model has read of each row: its states, None until it has read something."""

    states: Any
    rows: int


class Companion:
    """A language model beside a model.

    Args:
        name: of the option that gives it, for messages.
        given: the loaded bundle of a language model, or its path.
        manifest: of the model that writes.
        weight: what its log-probabilities are multiplied by.

    Raises:
        OptionError: it is no language model, or its tokens aren't those of the other.
        BundleNotFoundError, BundleError: there is no bundle at the path.
    """

    def __init__(self, name: str, given: LanguageModel, manifest: Manifest, weight: float) -> None:
        self._given = _opened(given) if isinstance(given, str | os.PathLike) else given
        own: Manifest = self._given.manifest
        if own.kind != "decoder-only":
            raise OptionError(f"{name}: expected a language model, got a bundle of the kind {own.kind!r}")
        self._weight = np.float32(weight)
        ids = _matched(name, own, manifest)
        self._ids: Ints = np.maximum(ids, 0)
        self._factors: Floats = np.where(ids >= 0, self._weight, np.float32(0))
        self._start = own.target.start_id
        self.most = own.target.most

    @property
    def _model(self) -> StepModel[Any]:
        model: StepModel[Any] = self._given.step_model
        return model

    def begin(self, rows: int) -> Reading:
        """Return what is known of rows of which nothing is written."""
        return Reading(None, rows)

    def read(self, reading: Reading, tokens: Ints | None) -> Floats | None:
        """Return what is added to the log-probability of each next token of the writing model.

        Args:
            reading: advanced by one step.
            tokens: int64 (rows,), what was written last, by the writing model's ids; None = nothing is written yet.

        Returns:
            float32 (rows, size); None where nothing is known yet, as there is no start token.
        """
        if tokens is None and self._start is None:
            return None
        fed = np.full(reading.rows, self._start, np.int64) if tokens is None else self._ids[tokens]
        if reading.states is None:
            reading.states = self._model.encode(fed[:, None])
            if self._start is None:
                self._model.step(reading.states, fed)  # which gives that first token, without reading it
        logits = self._model.step(reading.states, fed).logits
        scores = logits - log_normalizer(logits)[:, None]
        added: Floats = scores[:, self._ids] * self._factors
        return added

    def reorder(self, reading: Reading, rows: Ints) -> None:
        """Give row i what is known of row `rows[i]`, int64 (rows,), in place."""
        if reading.states is not None:
            self._model.reorder(reading.states, rows)

    def select(self, reading: Reading, rows: Ints) -> Reading:
        """Return what is known of some of the rows, int64 (kept,)."""
        states = reading.states if reading.states is None else self._model.select(reading.states, rows)
        return Reading(states, len(rows))


class _Opened:
    """A bundle that was opened by its path."""

    def __init__(self, manifest: Manifest, step_model: AnyModel) -> None:
        self.manifest, self.step_model = manifest, step_model


_OPENED: WeakValueDictionary[tuple[object, ...], _Opened] = WeakValueDictionary()
_LAST: Final[deque[_Opened]] = deque(maxlen=2)  # stay open: a call that follows mostly asks for the same, two at most


def _opened(path: str | os.PathLike[str]) -> _Opened:
    """Return the bundle at a path, opened once for all who use it as it is now, one call after the other too."""
    whole = os.path.abspath(path)
    place = os.path.join(whole, MANIFEST) if os.path.isdir(whole) else whole
    state = os.stat(place) if os.path.exists(place) else None
    key = (whole, None if state is None else (state.st_mtime_ns, state.st_size))
    known = _OPENED.get(key)
    if known is None:
        known = _OPENED[key] = _Opened(*open_bundle(path))
    if known not in _LAST:
        _LAST.append(known)
    return known


def _matched(name: str, own: Manifest, writing: Manifest) -> Ints:
    """Return the language model's id of each token of the writing model, -1 where it has none.

    Start and padding have none, as they are never written, nor has the unknown token where the other knows none.

    Raises:
        OptionError: the tokens aren't the same.
    """
    target, vocabulary, theirs = writing.target, writing.target_vocabulary, own.target_vocabulary
    unmatched = {target.start_id, target.padding_id, target.unknown_id}
    if vocabulary is None or theirs is None:
        same = vocabulary is theirs and target.size == own.target.size and target.end_ids == own.target.end_ids
        if not same:
            raise OptionError(
                f"{name}: expected a language model with the target's vocabulary, to match tokens by their texts; "
                "where neither has one, with as many tokens and the same end tokens"
            )
        return np.arange(target.size)
    ids = [theirs.id_of(symbol) for symbol in vocabulary.symbols]
    if target.unknown_id is not None:
        ids[target.unknown_id] = theirs.unknown_id
    for end in target.end_ids:
        ids[end] = own.target.end_ids[0] if own.target.end_ids else ids[end]
        if ids[end] is None:
            raise OptionError(f"{name}: has no end token, so that it can't tell where targets end; export it with one")
    missing = [i for i, known in enumerate(ids) if known is None and i not in unmatched]
    if missing and theirs.unknown_id is None:
        shown = ", ".join(repr(vocabulary.symbols[i]) for i in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise OptionError(
            f"{name}: lacks {len(missing)} of the target's {len(ids)} tokens ({shown}{more}), and has no unknown "
            f"symbol that would stand for them; expected a language model over the same {vocabulary.unit_name}s"
        )
    for i in missing:
        ids[i] = theirs.unknown_id
    return np.array([known if is_integer(known) else -1 for known in ids], np.int64)

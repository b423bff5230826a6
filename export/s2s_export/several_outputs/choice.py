"""Which outputs of a training model one bundle carries: those that are named, or all that a model of one pass gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import keras
import numpy as np

from s2s_export.errors import ExportError
from s2s_export.options import ExportOptions
from s2s_export.understand.decoded_output_choice import output_names
from s2s_runtime.spelling import did_you_mean, option
from s2s_runtime.vocabulary.padding import PaddingPolicy
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary, VocabularyFile
from s2s_training.splitting.attention_weights import is_distribution, run_on_noise

_AXES: Final = (2, 3)  # of an output that is decoded: one for the whole source, or one for each position


@dataclass(frozen=True)
class Outputs:
    """The outputs of a training model, and which of them were asked for.

    Attributes:
        model: the training model.
        names: of its outputs; of several that one layer makes, all but the first end in their number.
        asked: names that were given, in their order; empty = whatever fits.
        symbols: of the outputs whose symbols were given by name.
        first: the name of the one that is decoded before the others; None where nothing said so.
    """

    model: keras.Model
    names: tuple[str, ...]
    asked: tuple[str, ...]
    symbols: Mapping[str, Vocabulary]
    first: str | None = None

    @classmethod
    def of(cls, model: keras.Model, options: ExportOptions) -> Outputs:
        """Read the outputs of a model.

        Raises:
            ExportError: a name is none of theirs, or an output of that name can't be decoded.
        """
        names, symbols = output_names(model), options.target_vocabularies
        asked = options.output_names
        several = asked if len(asked) > 1 else ()  # one alone is chosen, or refused, like that of any other model
        for given, wanted in (("decoder_output", several), ("target_vocab", tuple(symbols))):
            for name in wanted:
                if name not in names:
                    raise ExportError(
                        f"{option(given)}: expected names of the model's outputs ({', '.join(names)}), got {name!r}"
                        f"{did_you_mean(name, names)}"
                    )
        for name in several:
            shape = tuple(model.outputs[names.index(name)].shape)
            if not _is_decodable(shape):
                raise ExportError(
                    f"{option('decoder_output')}: the output {name!r} has shape {shape}, expected (batch, features) "
                    "or (batch, time, features) with a fixed number of features; leave it out"
                )
        if len(set(several)) < len(several):
            raise ExportError(f"{option('decoder_output')}: expected each name once, got {', '.join(several)}")
        return cls(model, names, asked, symbols)

    def with_first(self, options: ExportOptions) -> tuple[Outputs, ExportOptions]:
        """Choose the output that is decoded first where symbols were given by name, and let those be the target's."""
        if not self.symbols:
            return self, options
        pool = [name for name in self.asked or self.names if name in self.names and _is_decodable(self._shape(name))]
        pool = self._ordered(pool or list(self.symbols))
        file = options.vocabulary or VocabularyFile(None, None, PaddingPolicy(masked=False))
        target = self.symbols.get(pool[0], file.target)
        return replace(self, first=pool[0]), replace(options, vocabulary=replace(file, target=target))

    def together(self, kind: str, decoded: str | None, options: ExportOptions) -> Together | None:
        """Return the outputs that go into one bundle, where these are several.

        Args:
            kind: what the model is, by the manifest's word.
            decoded: the name of the output that is decoded where there is one alone; None = none of these as it is.
            options: of the export.

        Raises:
            ExportError: several were asked for, of a model that isn't one of one pass.
        """
        if kind != "one-pass":
            if len(self.asked) > 1 or len(self.symbols) > 1:
                name = "decoder_output" if len(self.asked) > 1 else "target_vocab"
                raise ExportError(
                    f"{option(name)}: expected one output, as this model is of the kind {kind!r}, and only bundles "
                    f"of one pass carry several: decode one, {option('decoder_output', 'NAME')}, or, where all are "
                    f"tokens that are fed back, {option('decoder_output', 'A+B')}"
                )
            return None
        if len(self.asked) == 1 or len(self.names) == 1 or decoded is None:
            return None
        pool = list(self.asked or (name for name in self.names if _is_decodable(self._shape(name))))
        if decoded not in pool and not self.asked:  # frames, say, beside which nothing is decoded
            return None
        target = None if options.vocabulary is None else options.vocabulary.target
        if self.first is not None:
            pool.sort(key=lambda name: name != self.first)
        elif target is not None or options.end_ids:
            size = None if target is None else len(target)
            fits = [name for name in pool if size is None or self._shape(name)[-1] == size]
            pool.sort(key=lambda name: (name not in fits, name != decoded))
        else:
            pool = self._ordered(pool)
        left = tuple(name for name in self.names if name not in pool)
        return Together(self._with(pool), tuple(pool), left) if len(pool) > 1 else None

    def _ordered(self, names: Sequence[str]) -> list[str]:
        """Return names in the order in which they are decoded: tokens before values, with positions before without."""
        tokens = self._tokens()
        return sorted(names, key=lambda name: (name not in tokens, -len(self._shape(name)), name not in self.symbols))

    def _shape(self, name: str) -> tuple[int | None, ...]:
        return tuple(self.model.outputs[self.names.index(name)].shape)

    def _with(self, names: Sequence[str]) -> keras.Model:
        outputs = [self.model.outputs[self.names.index(name)] for name in names]
        return keras.Model(self.model.inputs, outputs, name=self.model.name)

    def _tokens(self) -> set[str]:
        """Return the names of the outputs that have symbols, or are distributions, as a run on noise shows."""
        made = run_on_noise(self._with(self.names))  # inputs are a list, whatever structure those of its author have
        shown = {
            name for name, one in zip(self.names, made, strict=True) if np.shape(one)[-1] > 1 and is_distribution(one)
        }
        return shown | set(self.symbols)


@dataclass(frozen=True)
class Together:
    """Several outputs that go into one bundle.

    Attributes:
        model: the training model with these outputs alone.
        names: theirs, the one that is decoded first before the others.
        left_out: names of those that the training model has beside.
    """

    model: keras.Model
    names: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def note(self) -> str:
        """A sentence on what the bundle carries."""
        first, *others = map(repr, self.names)
        left = f"; {', '.join(map(repr, self.left_out))} left out" if self.left_out else ""
        return (
            f"the bundle gives several outputs: {first}, and beside it {', '.join(others)}{left} "
            f"({option('decoder_output', 'NAME')} names those to give)"
        )


def _is_decodable(shape: Sequence[int | None]) -> bool:
    return len(shape) in _AXES and shape[-1] is not None

"""What a training run is made of: three frozen sections, kept whole in the run folder's `config.toml`.

`TrainingConfig.override` takes the options that somebody gave by name and leaves the rest as a preset has them, so the
command line, presets and files all speak the same names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from s2s_runtime.spelling import did_you_mean
from s2s_training.config.data import DataConfig
from s2s_training.config.fit import FitConfig
from s2s_training.config.kinds import misfits
from s2s_training.config.model import ModelConfig
from s2s_training.errors import ConfigError
from s2s_training.given import an, check_given


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """The configuration of a whole run, in its three sections.

    Args:
        data: which pairs, how they are split and cut.
        model: the network.
        fit: the optimisation.

    Raises:
        ConfigError: names every value that is out of range or contradicts another.
    """

    data: DataConfig
    model: ModelConfig = field(default_factory=ModelConfig)
    fit: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        check_given(
            ConfigError,
            data=(self.data, an(DataConfig, "a DataConfig")),
            model=(self.model, an(ModelConfig, "a ModelConfig")),
            fit=(self.fit, an(FitConfig, "a FitConfig")),
        )
        problems = [*self.data.problems(), *self.model.problems(), *self.fit.problems()]
        if problems:
            raise ConfigError("; ".join(problems))
        if self.fit.r_drop and not (self.model.dropout or self.model.word_dropout):
            problems.append("r_drop: two passes without dropout don't differ, expected dropout or word_dropout above 0")
        problems += misfits(self.model.kind, self._fields())
        problems += self._factor_problems()
        if self.model.padding == "space" and (self.data.source_unit, self.data.target_unit) != ("char", "char"):
            problems.append(
                f"padding: 'space' needs characters on both sides, got units {self.data.source_unit!r} and "
                f"{self.data.target_unit!r}"
            )
        if problems:
            raise ConfigError("; ".join(problems))

    def _factor_problems(self) -> list[str]:
        """Return why factors don't go together with the rest."""
        count, sizes = self.data.source_factors, self.model.factor_sizes
        if not count:
            given = self.model.factor_embedding is not None
            return ["factor_embedding: has no effect without source_factors; give that too or leave it out"] * given
        problems = []
        if len(sizes) not in (1, count):
            problems.append(
                f"factor_embedding: expected one size for all, or one for each of {count} factors, got {len(sizes)}"
            )
        if not self.model.embedding:
            problems.append(
                "source_factors: factors have embeddings beside that of the word, expected embedding above 0"
            )
        if self.model.padding == "space":
            problems.append("source_factors: padding 'space' is a character, which has no factors; expected another")
        return problems

    def override(self, **given: Any) -> TrainingConfig:
        """Return this configuration with some fields replaced, whichever section they stand in.

        >>> TrainingConfig(data=DataConfig(data="pairs.tsv")).override(units=64, epochs=3).model.units
        64

        Raises:
            ConfigError: no section has a field of that name, or the result is no valid configuration.
        """
        sections = {}
        for section in dataclasses.fields(self):
            current = getattr(self, section.name)
            names = {f.name for f in dataclasses.fields(current)} & given.keys()
            sections[section.name] = dataclasses.replace(current, **{name: given.pop(name) for name in sorted(names)})
        if given:
            known = list(self._fields())
            raise ConfigError("; ".join(f"unknown option {name}{did_you_mean(name, known)}" for name in sorted(given)))
        return TrainingConfig(**sections)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return every field, by section and name."""
        return dataclasses.asdict(self)

    def differing(self, other: TrainingConfig) -> list[str]:
        """Return the names of the fields in which two configurations differ."""
        own, others = self._fields(), other._fields()
        return [name for name in own if own[name] != others[name]]

    def differences(self, other: TrainingConfig, *, besides: Collection[str] = ()) -> list[str]:
        """Return the differences as "name (this value, other value)", except for the fields that `besides` names."""
        own, others = self._fields(), other._fields()
        return [f"{name} ({own[name]!r}, {others[name]!r})" for name in self.differing(other) if name not in besides]

    def _fields(self) -> dict[str, Any]:
        """Return every field by its name; no two sections have a field of the same name."""
        return {name: value for section in self.to_dict().values() for name, value in section.items()}

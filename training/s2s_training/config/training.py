"""What a training run is made of: three frozen sections, kept whole in the run folder's `config.toml`.

`TrainingConfig.override` takes the options that somebody gave by name and leaves the rest as a preset has them, so the
command line, presets and files all speak the same names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Literal

from s2s_training.config.checks import below as _below
from s2s_training.config.checks import wrong_choices as _wrong_choices
from s2s_training.config.checks import wrong_types
from s2s_training.config.data import DataConfig
from s2s_training.config.fit import FitConfig
from s2s_training.config.model_checks import contradictions
from s2s_training.errors import ConfigError

Padding = Literal["mask", "space", "zeros"]
Kind = Literal["encoder-decoder", "repeat-vector"]
CellName = Literal["lstm", "gru"]
AttentionForm = Literal["none", "dot", "general", "additive", "multi-head"]
Peek = Literal["none", "concat", "add"]
Bridge = Literal["auto", "dense", "none"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network.

    Args:
        kind: "encoder-decoder" = the decoder starts from the encoder's states and is fed the previous target token
            (Sutskever et al. 2014, Cho et al. 2014); "repeat-vector" = it is fed the encoder's last output at every
            one of a fixed number of steps.
        cell: "lstm" or "gru".
        units: size of an encoder layer, of each direction where bidirectional.
        decoder_units: size of a decoder layer; None = the size of the encoder's (joined) states. Another size puts
            a dense bridge between them.
        encoder_layers: number of recurrent layers in the encoder.
        decoder_layers: number of recurrent layers in the decoder.
        bidirectional: whether the encoder reads both ways.
        embedding: size of the embeddings of either side; 0 = one-hot vectors.
        dropout: share of activations dropped before, between and after recurrent layers, 0 <= share < 1.
        attention: "dot", "general" (Luong et al. 2015), "additive" (Bahdanau et al. 2014), "multi-head" (Vaswani et
            al. 2017) or "none".
        heads: how many heads, for "multi-head" only.
        input_feeding: whether the attentional vector of a step is part of the next step's input (Luong et al. 2015,
            section 3.3).
        peek: whether the decoder reads the source's last encoder output at every step: "concat" = beside its input
            (Cho et al. 2014), "add" = added to it, or "none".
        bridge: what the decoder starts from: "auto" = the encoder's states, through a dense tanh layer where sizes
            differ; "dense" = always through that; "none" = zeros.
        tied: whether the target embedding is the output kernel too (Press & Wolf 2017).
        residual: whether a layer's input is added to its output where both are equally wide (Wu et al. 2016).
        layer_norm: whether the outputs of recurrent layers are normalised (Ba et al. 2016).
        scheduled_sampling: share of decoder inputs that are the model's own guess instead of the target, 0 <= share <=
            1, in training only (Bengio et al. 2015); it grows linearly up to this share.
        sampling_steps: training steps until the share is reached.
        free_running: whether the decoder is fed its own output probabilities, in training too, and never the target.
        padding: "mask" = the model masks padding, any length goes; "space" = padded with spaces to the longest
            length, which the model reads as it reads text; "zeros" = the same with vectors of zeros.
    """

    kind: Kind = "encoder-decoder"
    cell: CellName = "lstm"
    units: int = 128
    decoder_units: int | None = None
    encoder_layers: int = 1
    decoder_layers: int = 1
    bidirectional: bool = False
    embedding: int = 64
    dropout: float = 0.0
    attention: AttentionForm = "none"
    heads: int = 4
    input_feeding: bool = False
    peek: Peek = "none"
    bridge: Bridge = "auto"
    tied: bool = False
    residual: bool = False
    layer_norm: bool = False
    scheduled_sampling: float = 0.0
    sampling_steps: int = 5000
    free_running: bool = False
    padding: Padding = "mask"

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        found = _wrong_choices(self, kind=Kind, cell=CellName, attention=AttentionForm, padding=Padding)
        found += _wrong_choices(self, peek=Peek, bridge=Bridge)
        found += _below(
            self, 1, "units", "decoder_units", "encoder_layers", "decoder_layers", "heads", "sampling_steps"
        )
        found += _below(self, 0, "embedding")
        if not 0 <= self.dropout < 1:
            found.append(f"dropout: expected 0 <= dropout < 1, got {self.dropout}")
        if self.padding == "zeros" and self.embedding:
            found.append(f"padding: 'zeros' needs one-hot input, expected embedding 0, got {self.embedding}")
        if self.kind == "repeat-vector" and (self.attention != "none" or self.padding != "space"):
            found.append(
                f"kind: 'repeat-vector' has no attention and pads with spaces, expected attention 'none' and padding "
                f"'space', got {self.attention!r} and {self.padding!r}"
            )
        if self.attention == "dot" and self.decoder_units not in (None, self.memory_units):
            found.append(
                f"decoder_units: dot attention needs as many as the encoder's outputs have, {self.memory_units}, got "
                f"{self.decoder_units}; use that many, or attention 'general'"
            )
        return found + contradictions(self)

    @property
    def memory_units(self) -> int:
        """Features of an encoder output: twice the units where bidirectional."""
        return self.units * 2 if self.bidirectional else self.units

    @property
    def decoder_width(self) -> int:
        """Units of a decoder layer."""
        return self.decoder_units or self.memory_units


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """A whole run; see the three sections.

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
        problems = [*self.data.problems(), *(wrong_types(self.model) or self.model.problems()), *self.fit.problems()]
        if problems:
            raise ConfigError("; ".join(problems))
        if self.model.padding == "space" and (self.data.source_unit, self.data.target_unit) != ("char", "char"):
            problems.append(
                f"padding: 'space' needs characters on both sides, got units {self.data.source_unit!r} and "
                f"{self.data.target_unit!r}"
            )
        if self.model.padding != "mask" and "sentencepiece" in (self.data.source_unit, self.data.target_unit):
            problems.append(f"padding: expected 'mask' with pieces of sentencepiece, got {self.model.padding!r}")
        if self.model.padding != "mask" and (self.data.min_count > 1 or self.data.vocabulary_size is not None):
            problems.append(
                f"min_count, vocabulary_size: a model that reads its padding has no unknown symbol, expected padding "
                f"'mask', got {self.model.padding!r}"
            )
        if problems:
            raise ConfigError("; ".join(problems))

    def override(self, **given: Any) -> TrainingConfig:
        """This configuration with some fields replaced, whichever section they stand in.

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
            raise ConfigError(f"unknown option {', '.join(sorted(given))}")
        return TrainingConfig(**sections)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Every field, by section and name."""
        return dataclasses.asdict(self)

    def differing(self, other: TrainingConfig) -> list[str]:
        """Names of the fields in which two configurations differ."""
        own, others = self._fields(), other._fields()
        return [name for name in own if own[name] != others[name]]

    def differences(self, other: TrainingConfig, *, besides: Collection[str] = ()) -> list[str]:
        """What differs, as "name (this value, other value)", but for the fields named in `besides`."""
        own, others = self._fields(), other._fields()
        return [f"{name} ({own[name]!r}, {others[name]!r})" for name in self.differing(other) if name not in besides]

    def _fields(self) -> dict[str, Any]:
        """Every field by its name, which no other section has."""
        return {name: value for section in self.to_dict().values() for name, value in section.items()}

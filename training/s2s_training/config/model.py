"""The model section of a configuration, and which of its options go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from s2s_runtime.declared_options import Option, declares_options, option_problems

Padding = Literal["mask", "space", "zeros"]
Kind = Literal["encoder-decoder", "repeat-vector", "same-length", "ctc", "language-model"]
CellName = Literal["lstm", "gru", "simple-rnn"]
AttentionForm = Literal["none", "dot", "general", "additive", "multi-head"]
Peek = Literal["none", "concat", "add"]
Bridge = Literal["auto", "dense", "none"]
PANEL = "Model"
FACTOR_SIZE: Final = 16


def _sizes(value: object) -> bool:
    """Return whether a value is a list of sizes, written with commas between."""
    return isinstance(value, str) and all(part.strip().isdecimal() and int(part) for part in value.split(","))


@declares_options
@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network that is trained."""

    kind: Annotated[Kind, Option(panel=PANEL, flags=["--model", "--kind"])] = "encoder-decoder"
    """What kind of model is trained. "encoder-decoder" = its decoder starts from the encoder's states and is fed the
    previous target token (Sutskever et al. 2014, Cho et al. 2014); "repeat-vector" = its decoder is fed the encoder's
    last output at every one of a fixed number of steps; "same-length" = a tagger, an output for each symbol of the
    source; "ctc" = what it reads off each symbol of the source is a symbol or a blank (Graves et al. 2006);
    "language-model" = DATA is a text and no pairs, and it learns what comes next."""

    cell: Annotated[CellName, Option(panel=PANEL)] = "lstm"
    """Recurrent cell. "lstm" (Hochreiter & Schmidhuber 1997), "gru" (Cho et al. 2014), or "simple-rnn" (Elman 1990),
    which has no gates."""

    units: Annotated[int, Option(panel=PANEL, at_least=1)] = 128
    """Size of an encoder layer (of each direction)."""

    decoder_units: Annotated[int | None, Option(panel=PANEL, at_least=1)] = None
    """Size of a decoder layer. None = that of the encoder's (joined) states; another size puts a dense bridge between
    them."""

    encoder_layers: Annotated[int, Option(panel=PANEL, at_least=1)] = 1
    """Layers of the encoder."""

    decoder_layers: Annotated[int, Option(panel=PANEL, at_least=1)] = 1
    """Layers of the decoder."""

    bidirectional: Annotated[bool, Option(panel=PANEL)] = False
    """Read both ways."""

    embedding: Annotated[int, Option(panel=PANEL, at_least=0)] = 64
    """Size of embeddings; 0 = one-hot vectors."""

    factor_embedding: Annotated[
        str | None,
        Option(panel=PANEL, metavar="N,N,...", expected="sizes of at least 1, such as '16,8'", allowed=_sizes),
    ] = None
    """Sizes of the embeddings of factors, which stand behind those of the words; one for all, or one each. None = 16
    each."""

    dropout: Annotated[float, Option(panel=PANEL, at_least=0, below=1)] = 0.0
    """Share of activations dropped. Dropout stands before, between and after recurrent layers."""

    word_dropout: Annotated[float, Option(panel=PANEL, at_least=0, below=1)] = 0.0
    """Share of symbols that are dropped whole: their vectors become zeros (training). So it is done with the source
    (Sennrich et al. 2016), and with the targets that are fed, unless the decoder is fed its own outputs too."""

    attention: Annotated[AttentionForm, Option(panel=PANEL)] = "none"
    """How the decoder looks at the source. "dot" (encoder outputs of another size than the decoder's are projected),
    "general" (Luong et al. 2015), "additive" (Bahdanau et al. 2014), "multi-head" (Vaswani et al. 2017) or "none"."""

    heads: Annotated[int, Option(panel=PANEL, at_least=1)] = 4
    """Heads of multi-head attention."""

    input_feeding: Annotated[bool, Option(panel=PANEL)] = False
    """Feed the attentional vector to the next step. Luong et al. (2015, section 3.3) do so."""

    peek: Annotated[Peek, Option(panel=PANEL)] = "none"
    """The source's last output at every decoder step. "concat" = beside the decoder's input (Cho et al. 2014), "add" =
    added to it."""

    bridge: Annotated[Bridge, Option(panel=PANEL)] = "auto"
    """From encoder states to what the decoder starts from. "auto" = the states themselves, through a dense tanh layer
    where sizes differ; "dense" = always through that; "none" = zeros."""

    tied: Annotated[bool, Option(panel=PANEL)] = False
    """Target embedding = output kernel. Press & Wolf (2017) describe it."""

    residual: Annotated[bool, Option(panel=PANEL)] = False
    """Add a layer's input to its output. This is done where both are equally wide (Wu et al. 2016)."""

    layer_norm: Annotated[bool, Option(panel=PANEL)] = False
    """Normalise outputs of layers. Ba et al. (2016) describe how."""

    scheduled_sampling: Annotated[float, Option(panel=PANEL, at_least=0, at_most=1)] = 0.0
    """Share of inputs that are the model's own guesses (training). Guesses replace targets (Bengio et al. 2015); the
    share grows linearly up to this one."""

    sampling_steps: Annotated[int, Option(panel=PANEL, at_least=1)] = 5000
    """Training steps until that share."""

    free_running: Annotated[bool, Option(panel=PANEL)] = False
    """Feed output probabilities back, never targets. This holds in training too."""

    upsample: Annotated[int | None, Option(panel=PANEL, at_least=1)] = None
    """Model ctc: frames for each symbol of the source, which targets have to fit into. None = as few as let 99% of the
    training targets fit; pairs that don't are left out."""

    padding: Annotated[Padding, Option(panel=PANEL)] = "mask"
    """Masked; or read by the model, as spaces or zeros. "mask" = any length goes; "space" = padded with spaces to the
    longest length, which the model reads as it reads text; "zeros" = the same with vectors of zeros."""

    def problems(self) -> list[str]:
        """Return what is wrong with the values, one line for each problem."""
        return option_problems(self) or contradictions(self)

    @property
    def factor_sizes(self) -> tuple[int, ...]:
        """The sizes of the embeddings of factors that were given: one for all, or one each."""
        return (FACTOR_SIZE,) if self.factor_embedding is None else tuple(map(int, self.factor_embedding.split(",")))

    @property
    def memory_units(self) -> int:
        """The number of features of an encoder output: twice the units where bidirectional."""
        return self.units * 2 if self.bidirectional else self.units

    @property
    def decoder_width(self) -> int:
        """The number of units of a decoder layer."""
        return self.decoder_units or self.memory_units

    @property
    def head_width(self) -> int:
        """The number of features of each head of multi-head attention."""
        return max(1, self.decoder_width // self.heads)


def contradictions(config: ModelConfig) -> list[str]:
    """Return one line for each group of options that don't go together; an empty list where all do."""
    problems = []
    if config.tied and not config.embedding:
        problems.append("tied: needs an embedding of the target, expected embedding above 0, got 0")
    if config.bridge == "none" and config.attention == "none" and config.peek == "none":
        problems.append(
            "bridge: with 'none' and neither attention nor peek the decoder never sees the source; choose one of them"
        )
    if config.free_running and config.scheduled_sampling:
        problems.append("scheduled_sampling: a free-running decoder reads no targets to be replaced, expected 0")
    if config.input_feeding and config.attention == "none":
        problems.append("input_feeding: expected an attention to feed, got 'none'")
    return problems


def feeds_back(config: ModelConfig) -> bool:
    """Return whether a decoder step reads more of the step before it than recurrent states."""
    return config.input_feeding or config.free_running or config.scheduled_sampling > 0

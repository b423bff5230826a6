"""What s2s-export is asked beside the options of an export: which files to read and write, and what to print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from s2s_export.options import DRY_RUN, FILES, GRAPH, TEXT
from s2s_runtime.declared_options import Option


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """The files of an export, and what it prints."""

    model: Annotated[Path | None, Option(positional=True, metavar="MODEL")] = None
    """A model saved by Keras: .keras, .h5, or the folder that TensorFlow 2.0 to 2.15 wrote."""

    output: Annotated[Path | None, Option(flags=["--output", "-o"])] = None
    """Bundle to write, a folder, or one file if it ends in .zip; default: MODEL.s2s (DECODER.s2s) beside the model."""

    dry_run: Annotated[bool, Option()] = False
    """Show what is understood of the model; write nothing."""

    as_json: Annotated[bool, Option(flags=["--json"], not_for=[DRY_RUN])] = False
    """Print the report as JSON."""

    vocab: Annotated[Path | None, Option(panel=TEXT)] = None
    """vocab.json; default: the one beside the model, if any."""

    source_vocab: Annotated[Path | None, Option(panel=TEXT)] = None
    """Symbols of the source: a Tokenizer's JSON, a JSON dictionary or list, or text with a symbol a line."""

    target_vocab: Annotated[Sequence[str], Option(panel=TEXT, metavar="[NAME=]FILE")] = ()
    """Those of the target, likewise; NAME=FILE for an output of that name, may be repeated then."""

    trust_lambda: Annotated[bool, Option(panel=GRAPH)] = False
    """Run the Python code of Lambda layers; what is going to run is said first."""

    lambdas: Annotated[Sequence[str], Option(panel=GRAPH, flags=["--lambda"], metavar="LAYER=MODULE:FUNCTION")] = ()
    """Function of yours in the place of a Lambda layer's code, of which nothing runs then; may be repeated."""

    custom_objects: Annotated[Sequence[str], Option(panel=GRAPH, metavar="MODULE:NAME")] = ()
    """Class the model uses, as module:Name; may be repeated."""

    encoder: Annotated[Path | None, Option(panel=FILES)] = None
    """Encoder of a pair of inference models, in place of MODEL; beside --decoder."""

    decoder: Annotated[Path | None, Option(panel=FILES)] = None
    """Decoder of that pair, which takes a token and states and gives the output of a step and the next states."""

    state: Annotated[Sequence[str], Option(panel=GRAPH, metavar="NAME=FIRST:NEXT")] = ()
    """What a decoder input of a pair gets: the number of an encoder output (or zeros), then of a decoder output (or
    constant), from 0. May be repeated; needed only where shapes and order leave it open."""

    weights: Annotated[Path | None, Option(panel=FILES)] = None
    """Weights alone, for --model-fn or for model.json: .h5, .npz, or the name of a TensorFlow checkpoint."""

    model_fn: Annotated[str | None, Option(panel=FILES, metavar="MODULE:FUNCTION")] = None
    """Function that builds the model, as module:function."""

    verify_texts: Annotated[Path | None, Option(panel=FILES, flags=["--verify-with"], not_for=[DRY_RUN])] = None
    """Texts to verify with, one a line; with --quantize or --dtype the right target may follow a tab."""

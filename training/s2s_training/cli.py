"""The command `s2s-train`."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from s2s_runtime.console import make_app, one_line_errors
from s2s_training.cli_options import data, fit, model
from s2s_training.config import (
    AttentionForm,
    Bridge,
    CellName,
    Kind,
    OptimizerName,
    Padding,
    Peek,
    ScheduleName,
    Split,
    TrainingConfig,
    Unit,
)
from s2s_training.errors import ConfigError

app = make_app()


@app.command(epilog="RUN holds model.keras and vocab.json for `s2s-export`, and history.json, loss.png, summary.json.")
def train(
    context: typer.Context,
    pairs: Annotated[str, typer.Argument(metavar="DATA", help="TSV file of pairs, or: addition, cmudict.")],
    run: Annotated[Path, typer.Option("--output", "-o", metavar="RUN", help="Folder of the run, to be made.")],
    *,
    tutorial: Annotated[
        bool,
        typer.Option(
            "--tutorial",
            help="The published Keras character translator.",
        ),
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted run; start it where there is none.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the folder of another run.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    rows: Annotated[int | None, data("rows", "Only the first so many rows.")] = None,
    split: Annotated[Split | None, data("split", "Held-out pairs: by a hash of the source, or the last rows.")] = None,
    valid_fraction: Annotated[float | None, data("valid_fraction", "Share held out for validation.")] = None,
    test_fraction: Annotated[float | None, data("test_fraction", "Share held out for scoring.")] = None,
    source_unit: Annotated[Unit | None, data("source_unit", "How source text is cut.")] = None,
    target_unit: Annotated[Unit | None, data("target_unit", "How target text is cut.")] = None,
    source_model: Annotated[str | None, data("source_model", "For unit sentencepiece: its .model file.")] = None,
    target_model: Annotated[str | None, data("target_model", "The same for targets.")] = None,
    lowercase: Annotated[bool | None, data("lowercase", "Lowercase both sides.", "--lowercase/--no-lowercase")] = None,
    reverse: Annotated[bool | None, data("reverse", "Reverse the source.", "--reverse/--no-reverse")] = None,
    min_count: Annotated[int | None, data("min_count", "Rarer symbols become the unknown symbol.")] = None,
    max_source_length: Annotated[int | None, data("max_source_length", "Leave out longer training sources.")] = None,
    max_target_length: Annotated[int | None, data("max_target_length", "Leave out longer training targets.")] = None,
    digits: Annotated[int | None, data("digits", "Most digits of a number (addition).")] = None,
    kind: Annotated[Kind | None, model("kind", "What feeds the decoder.", "--model")] = None,
    cell: Annotated[CellName | None, model("cell", "Recurrent cell.")] = None,
    units: Annotated[int | None, model("units", "Size of an encoder layer (of each direction).")] = None,
    decoder_units: Annotated[int | None, model("decoder_units", "Size of a decoder layer.")] = None,
    encoder_layers: Annotated[int | None, model("encoder_layers", "Layers of the encoder.")] = None,
    decoder_layers: Annotated[int | None, model("decoder_layers", "Layers of the decoder.")] = None,
    bidirectional: Annotated[
        bool | None, model("bidirectional", "Read both ways.", "--bidirectional/--no-bidirectional")
    ] = None,
    embedding: Annotated[int | None, model("embedding", "Size of embeddings; 0 = one-hot vectors.")] = None,
    dropout: Annotated[float | None, model("dropout", "Share of activations dropped.")] = None,
    attention: Annotated[AttentionForm | None, model("attention", "How the decoder looks at the source.")] = None,
    heads: Annotated[int | None, model("heads", "Heads of multi-head attention.")] = None,
    input_feeding: Annotated[
        bool | None,
        model("input_feeding", "Feed the attentional vector to the next step.", "--input-feeding/--no-input-feeding"),
    ] = None,
    peek: Annotated[Peek | None, model("peek", "The source's last output at every decoder step.")] = None,
    bridge: Annotated[Bridge | None, model("bridge", "From encoder states to what the decoder starts from.")] = None,
    tied: Annotated[bool | None, model("tied", "Target embedding = output kernel.", "--tied/--no-tied")] = None,
    residual: Annotated[bool | None, model("residual", "Add a layer's input.", "--residual/--no-residual")] = None,
    layer_norm: Annotated[
        bool | None, model("layer_norm", "Normalise outputs of layers.", "--layer-norm/--no-layer-norm")
    ] = None,
    scheduled_sampling: Annotated[
        float | None, model("scheduled_sampling", "Share of inputs that are the model's own guesses (training).")
    ] = None,
    sampling_steps: Annotated[int | None, model("sampling_steps", "Training steps until that share.")] = None,
    free_running: Annotated[
        bool | None,
        model("free_running", "Feed output probabilities back, never targets.", "--free-running/--no-free-running"),
    ] = None,
    padding: Annotated[Padding | None, model("padding", "Masked; or read by the model, as spaces or zeros.")] = None,
    epochs: Annotated[int | None, fit("epochs", "Passes over the pairs.")] = None,
    batch_size: Annotated[int | None, fit("batch_size", "Pairs per step.")] = None,
    optimizer: Annotated[OptimizerName | None, fit("optimizer", "Optimizer.")] = None,
    learning_rate: Annotated[float | None, fit("learning_rate", "Highest learning rate.")] = None,
    schedule: Annotated[ScheduleName | None, fit("schedule", "Learning rate over the run.")] = None,
    clip_norm: Annotated[float | None, fit("clip_norm", "Largest norm of gradients; 0 = any.")] = None,
    label_smoothing: Annotated[float | None, fit("label_smoothing", "Share spread over all symbols.")] = None,
    patience: Annotated[int | None, fit("patience", "Epochs without gain before stopping; 0 = never stop.")] = None,
    max_minutes: Annotated[float | None, fit("max_minutes", "Train no longer; the schedule ends by then.")] = None,
    buckets: Annotated[int | None, fit("buckets", "Groups of similar length.")] = None,
    seed: Annotated[int | None, fit("seed", "Seed of weights, order and dropout.")] = None,
    score: Annotated[int | None, fit("score", "Held-out sources decoded to count errors.")] = None,
) -> None:
    """Train a recurrent encoder-decoder on pairs of texts.

    DATA is a TSV file, `source<TAB>target` per line, or the name of a built-in data set. Built-in data sets and
    --tutorial bring defaults of their own.

    Examples:
        s2s-train fra.txt --tutorial --rows 10000 --epochs 20 -o runs/translator

        s2s-train pairs.tsv --bidirectional --attention dot -o runs/letters

        s2s-train pairs.tsv --source-unit word --target-unit word --cell gru --min-count 2 -o runs/words

        s2s-train cmudict -o runs/pronunciation
    """
    with one_line_errors():
        try:
            config = _configure(context, pairs, tutorial=tutorial)
            summary = _run(config, run, resume=resume, force=force)
        except ConfigError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            typer.echo(f"error: interrupted; the same command with --resume continues {run}", err=True)
            raise typer.Exit(130) from None
    typer.echo(json.dumps(summary, indent=1) if as_json else _describe(summary, run))


def _configure(context: typer.Context, pairs: str, *, tutorial: bool) -> TrainingConfig:
    """The preset for the data, with the options that were given."""
    from s2s_training.datasets import default_config, tutorial_config

    given = {name: value for name, value in context.params.items() if value is not None}
    own = ("pairs", "run", "tutorial", "resume", "force", "as_json")
    return (tutorial_config if tutorial else default_config)(pairs).override(
        **{name: value for name, value in given.items() if name not in own}
    )


def _run(config: TrainingConfig, run: Path, *, resume: bool, force: bool) -> dict[str, Any]:
    from s2s_training.datasets import require_data
    from s2s_training.quiet import import_quietly
    from s2s_training.run_folder import RunFolder

    RunFolder(run).check(config, resume=resume, force=force)  # what is cheap to see comes before TensorFlow
    require_data(config.data)
    import_quietly()
    from rich.console import Console

    from s2s_training.progress import ConsoleHandler, ShowProgress
    from s2s_training.train import train

    console = Console(stderr=True)
    logger = logging.getLogger("s2s_training")
    logger.addHandler(ConsoleHandler(console))
    logger.setLevel(logging.INFO)
    progress = ShowProgress(console, config.fit.epochs)
    try:
        return train(config, run, resume=resume, force=force, callbacks=[progress])
    finally:
        progress.stop()  # an interrupted run would leave the bar, and the cursor hidden


def _describe(summary: dict[str, Any], run: Path) -> str:
    best = summary["best"]
    lines = [
        f"{run}: best epoch {best['epoch']} of {summary['epochs']}, validation loss {best['val_loss']:.4f}, "
        f"token accuracy {best['val_token_accuracy']:.2%}, {summary['minutes']} minutes"
    ]
    for name, rates in summary["errors"].items():
        lines.append(
            f"{rates['sequences']} held-out sources decoded, {name}: {rates['sequence_error_rate']:.1%} wrong, "
            f"{rates['token_error_rate']:.1%} of tokens wrong"
        )
    return "\n".join(lines)


def main() -> None:
    """Run the command."""
    app()

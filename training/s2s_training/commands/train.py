"""The command `s2s-train`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from s2s_runtime.console.app import command, make_app
from s2s_runtime.console.manners import SHARED, UsageError, after_interrupt, error_console
from s2s_training.commands.train_options import data, fit, model
from s2s_training.config.data import Normalization, Split, Unit
from s2s_training.config.fit import OptimizerName, ScheduleName, Select
from s2s_training.config.training import AttentionForm, Bridge, CellName, Kind, Padding, Peek, TrainingConfig
from s2s_training.errors import ConfigError
from s2s_training.runs.summaries import describe

app = make_app()
EPILOG = """
RUN holds model.keras and vocab.json for s2s-export, and history.json, loss.png, summary.json.

**Examples**

`s2s-train fra.txt --tutorial --rows 10000 --epochs 20 -o runs/translator`

`s2s-train pairs.tsv --bidirectional --attention dot -o runs/letters`

`s2s-train pairs.tsv --source-unit word --target-unit word --cell gru --min-count 2 -o runs/words`

`s2s-train cmudict -o runs/pronunciation`

`s2s-train train.en --target-file train.fr --source-unit word --target-unit word -o runs/parallel`

`s2s-train pairs.csv --source-column english --target-column french -o runs/columns`

`s2s-train sine-cosine -o runs/curves`

`s2s-train --config runs/letters/config.toml --seeds 1,2,3 -o runs/again`
"""
DATA_HELP = "File of pairs, or: addition, cmudict, sine-cosine, damped, powers."


@command(app, epilog=EPILOG)
def train(
    context: typer.Context,
    pairs: Annotated[str | None, typer.Argument(metavar="DATA", help=DATA_HELP, show_default=False)] = None,
    *,
    run: Annotated[Path, typer.Option("--output", "-o", metavar="RUN", help="Folder of the run, to be made.")],
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="TOML file of options, such as RUN/config.toml.")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option("--seeds", metavar="N,N,...", help="A run for each, in RUN/seed-N; mean and spread.")
    ] = None,
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
    force: Annotated[bool, typer.Option("--force", help="Replace the run in the folder; other files stay.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    target_file: Annotated[str | None, data("target_file", "Targets, a line for each line of DATA.")] = None,
    source_column: Annotated[str | None, data("source_column", "Sources, by the header of a CSV or TSV file.")] = None,
    target_column: Annotated[str | None, data("target_column", "The same for targets.")] = None,
    valid_data: Annotated[str | None, data("valid_data", "File of pairs for validation, in place of a share.")] = None,
    test_data: Annotated[str | None, data("test_data", "File of pairs for scoring, beside --valid-data.")] = None,
    encoding: Annotated[
        str | None, data("encoding", "Encoding of the files, such as utf-16 or latin-1; else UTF-8.")
    ] = None,
    strict: Annotated[
        bool | None,
        data("strict", "Refuse rows without source or target; else they are left out.", "--strict/--no-strict"),
    ] = None,
    rows: Annotated[int | None, data("rows", "Only the first so many rows.")] = None,
    split: Annotated[Split | None, data("split", "Held-out pairs: by a hash of the source, or the last rows.")] = None,
    valid_fraction: Annotated[float | None, data("valid_fraction", "Share held out for validation.")] = None,
    test_fraction: Annotated[float | None, data("test_fraction", "Share held out for scoring.")] = None,
    source_unit: Annotated[Unit | None, data("source_unit", "How source text is cut.")] = None,
    target_unit: Annotated[Unit | None, data("target_unit", "How target text is cut.")] = None,
    source_model: Annotated[str | None, data("source_model", "For unit sentencepiece: its .model, if any.")] = None,
    target_model: Annotated[str | None, data("target_model", "The same for targets.")] = None,
    normalization: Annotated[Normalization | None, data("normalization", "Unicode normal form of both sides.")] = None,
    source_normalization: Annotated[
        Normalization | None, data("source_normalization", "That of sources: NFD takes accents and Hangul apart.")
    ] = None,
    lowercase: Annotated[bool | None, data("lowercase", "Lowercase both sides.", "--lowercase/--no-lowercase")] = None,
    reverse: Annotated[bool | None, data("reverse", "Reverse the source.", "--reverse/--no-reverse")] = None,
    min_count: Annotated[int | None, data("min_count", "Rarer symbols become the unknown symbol.")] = None,
    vocabulary_size: Annotated[
        int | None, data("vocabulary_size", "Keep so many symbols a side; pieces to train, for unit sentencepiece.")
    ] = None,
    max_source_length: Annotated[
        int | None, data("max_source_length", "Leave out longer training sources; else outliers only.")
    ] = None,
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
    warm_up: Annotated[float | None, fit("warm_up", "Share of the run in which the learning rate rises.")] = None,
    plateau_patience: Annotated[int | None, fit("plateau_patience", "Schedule plateau: epochs without gain.")] = None,
    plateau_factor: Annotated[float | None, fit("plateau_factor", "Schedule plateau: what follows them.")] = None,
    clip_norm: Annotated[float | None, fit("clip_norm", "Largest norm of gradients; 0 = any.")] = None,
    label_smoothing: Annotated[float | None, fit("label_smoothing", "Share spread over all symbols.")] = None,
    average: Annotated[float | None, fit("average", "Decay of the moving average of the weights; 0 = none.")] = None,
    mixed_precision: Annotated[
        bool | None, fit("mixed_precision", "float16 where a GPU is found.", "--mixed-precision/--no-mixed-precision")
    ] = None,
    select: Annotated[Select | None, fit("select", "Validation figure that tells the best epoch.")] = None,
    decode_valid: Annotated[int | None, fit("decode_valid", "Validation sources decoded after an epoch.")] = None,
    patience: Annotated[int | None, fit("patience", "Epochs without gain before stopping; 0 = never stop.")] = None,
    max_minutes: Annotated[float | None, fit("max_minutes", "Train no longer; the schedule ends by then.")] = None,
    buckets: Annotated[int | None, fit("buckets", "Groups of similar length.")] = None,
    seed: Annotated[int | None, fit("seed", "Seed of weights, order, dropout, and of sums (addition).")] = None,
    score: Annotated[int | None, fit("score", "Held-out sources decoded to count errors.")] = None,
    tensorboard: Annotated[
        bool | None, fit("tensorboard", "Event files in RUN/tensorboard.", "--tensorboard/--no-tensorboard")
    ] = None,
) -> None:
    """Train a recurrent encoder-decoder on pairs of texts, or of curves.

    DATA is a TSV file, `source<TAB>target` per line, or the name of a built-in data set. Built-in data sets and
    --tutorial bring defaults of their own; --config comes before those, and what stands here before all.
    """
    try:
        options = _configure(context, pairs, config, tutorial=tutorial)
        several = None if seeds is None else _seeds(seeds, context)
        with after_interrupt(f"the same command with --resume continues {run}"):
            summary = _run(options, run, several, resume=resume, force=force)
    except ConfigError as error:
        raise UsageError(str(error)) from error
    typer.echo(json.dumps(summary, indent=1) if as_json else describe(summary, run))


def _configure(context: typer.Context, pairs: str | None, file: Path | None, *, tutorial: bool) -> TrainingConfig:
    """The preset for the data, with the options of the file, and before those what was given."""
    from s2s_training.config.toml_file import read_options
    from s2s_training.data.datasets import SERIES, default_config, tutorial_config

    options = {} if file is None else read_options(file)
    own = ("pairs", "run", "config", "seeds", "tutorial", "resume", "force", "as_json", *SHARED)
    options |= {name: value for name, value in context.params.items() if value is not None and name not in own}
    data = pairs or options.get("data")
    if data is None:
        raise ConfigError("nothing to train on: give DATA, a file or a built-in data set, or a --config that names it")
    if tutorial and data in SERIES:
        raise ConfigError(f"tutorial: expected pairs of texts, got the continuous data set {data!r}")
    given = {**options, "data": data}
    chosen = (tutorial_config if tutorial else default_config)(data).override(**given)
    if tutorial and chosen == default_config(data).override(**given):
        raise ConfigError(f"tutorial: {file or 'DATA'} settles everything that it would; leave it out")
    return chosen


def _seeds(text: str, context: typer.Context) -> list[int]:
    from s2s_training.runs.seeds import parse_seeds

    if context.params["seed"] is not None:
        raise ConfigError("seed, seeds: expected one of them, got both")
    return parse_seeds(text)


def _run(config: TrainingConfig, run: Path, seeds: list[int] | None, *, resume: bool, force: bool) -> dict[str, Any]:
    from s2s_runtime.console.progress import stages
    from s2s_training.data.datasets import require_data
    from s2s_training.quiet_import import import_quietly
    from s2s_training.runs.run_folder import RunFolder
    from s2s_training.runs.seeds import check_seeds_folder, seed_folder, train_seeds

    if resume and force:
        raise ConfigError("resume, force: expected one of them at most")
    if seeds is not None:
        check_seeds_folder(run)
    runs = {run: config} if seeds is None else {seed_folder(run, seed): config.override(seed=seed) for seed in seeds}
    for folder, each in runs.items():  # what is cheap to see comes before TensorFlow
        RunFolder(folder).check(each, resume=resume, force=force)
    require_data(config)
    with stages() as tell:
        tell("loading TensorFlow")
        import_quietly()
    from s2s_training.commands.progress import ShowProgress
    from s2s_training.train import train

    console = error_console()

    def one(own: TrainingConfig, folder: Path) -> dict[str, Any]:
        progress = ShowProgress(console, own.fit.epochs)
        try:
            return train(own, folder, resume=resume, force=force, callbacks=[progress])
        finally:
            progress.stop()  # an interrupted run would leave the bar, and the cursor hidden

    return one(config, run) if seeds is None else train_seeds(config, run, seeds, one)


def main() -> None:
    """Run the command."""
    app()

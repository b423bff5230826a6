"""The command s2s-plot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from s2s_runtime.commands.command_options import typed
from s2s_runtime.commands.evaluate import EvaluateOptions
from s2s_runtime.console.app import command, group, make_app, typer
from s2s_runtime.errors import InputError
from s2s_runtime.files.json_fields import read_json
from s2s_runtime.options import DecodingOptions

app = make_app()

Output = Annotated[Path, typer.Option("--output", "-o", help="The picture, .png, .svg or .pdf.")]
Bundle = Annotated[Path, typed(EvaluateOptions, "bundle")]
Pairs = Annotated[Path, typed(EvaluateOptions, "pairs")]
BeamSize = Annotated[int, typed(DecodingOptions, "beam_size")]
Rows = Annotated[int | None, typed(EvaluateOptions, "rows")]
Encoding = Annotated[str | None, typed(EvaluateOptions, "encoding")]
Strict = Annotated[bool, typed(EvaluateOptions, "strict")]


@group(app)
def plot() -> None:
    """Draw pictures of bundles and runs."""


@command(app, epilog='**Example** `s2s-plot attention model.s2s "Run!" -o map.png`')
def attention(
    bundle: Bundle,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to decode.")],
    output: Output,
    beam_size: BeamSize = 1,
) -> None:
    """What the decoder looked at: source tokens across, target tokens down."""
    _check(output)
    from s2s_runtime import load
    from s2s_runtime.plots.attention import plot_attention

    [result] = load(bundle).generate([text], beam_size=beam_size, return_attention=True)
    plot_attention(result.hypotheses[0], result.source_tokens, output)


@command(app, epilog="**Example** `s2s-plot history runs/mine/seed-* -o losses.svg`")
def history(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders written by s2s-train.")],
    output: Output,
) -> None:
    """Losses and accuracies over the epochs: of one run both parts, of several the validation figures side by side."""
    _check(output)
    from s2s_runtime.plots.runs import plot_history

    folders = [each for run in runs for each in (sorted(run.glob("seed-*")) or [run])]
    best = _best_epoch(folders[0]) if len(folders) == 1 else None
    plot_history({str(folder): _history(folder) for folder in folders}, output, best=best)


@command(app, epilog="**Example** `s2s-plot predictions runs/curves/model.s2s -o curves.png`")
def predictions(
    bundle: Bundle,
    output: Output,
    windows: Annotated[
        Path | None, typer.Option(help="The run's windows.npz; without it, the one beside the bundle.")
    ] = None,
) -> None:
    """What a continuous model makes of four windows, each value fed back, beside input and truth."""
    _check(output)
    import numpy as np

    from s2s_runtime import load
    from s2s_runtime.plots.runs import Windows, plot_predictions

    found = Windows.read(bundle.parent / "windows.npz" if windows is None else windows)
    shown = found.sources[list(found.shown)]
    plot_predictions(found, np.asarray(load(bundle).predict(shown, steps=found.targets.shape[1])), output)


@command(app, epilog="**Example** `s2s-plot lengths model.s2s runs/mine/test.tsv -o lengths.png`")
def lengths(
    bundle: Bundle,
    pairs: Pairs,
    output: Output,
    beam_size: BeamSize = 1,
    rows: Rows = None,
    encoding: Encoding = None,
    strict: Strict = False,
) -> None:
    """How long sources, right targets and outputs are, in tokens of the bundle's vocabularies."""
    _check(output)
    from s2s_runtime import load
    from s2s_runtime.commands.evaluate import decode_all, read_warning
    from s2s_runtime.evaluation import split_decoded
    from s2s_runtime.plots.runs import plot_lengths

    model = load(bundle)
    decoded = decode_all(model, read_warning(pairs, rows, encoding, strict=strict), beam_size)
    outputs, references = split_decoded(model, decoded)
    vocabulary = model.source_vocabulary
    if vocabulary is None:
        raise InputError("length plot: expected a bundle with a source vocabulary, this one knows numbers only")
    found = {
        "sources": [len(vocabulary.split(source)) for source in decoded.sources],
        "right targets": [len(right[0]) for right in references],
        "outputs": [len(output) for output in outputs],
    }
    plot_lengths(found, output)


@command(app, epilog="**Example** `s2s-plot errors model.s2s runs/mine/test.tsv --beam-size 5 -o errors.png`")
def errors(
    bundle: Bundle,
    pairs: Pairs,
    output: Output,
    beam_size: BeamSize = 1,
    rows: Rows = None,
    encoding: Encoding = None,
    strict: Strict = False,
) -> None:
    """How far outputs are from right, and which lengths go wrong."""
    _check(output)
    from s2s_runtime import load
    from s2s_runtime.commands.evaluate import decode_all, read_warning
    from s2s_runtime.evaluation import split_decoded
    from s2s_runtime.plots.runs import plot_errors

    model = load(bundle)
    decoded = decode_all(model, read_warning(pairs, rows, encoding, strict=strict), beam_size)
    plot_errors(*split_decoded(model, decoded), output)


def _check(output: Path) -> None:
    """Make sure that the picture can be written, before the work."""
    from s2s_runtime.plots.figures import check_picture

    check_picture(output)


def _history(folder: Path) -> dict[str, list[float]]:
    """The figures of a run.

    Raises:
        FileNotFoundError: the folder holds no history.
        InputError: the file holds something else.
    """
    path = folder / "history.json"
    found = read_json(path)
    if not isinstance(found, dict) or not all(
        isinstance(values, list) and all(isinstance(value, int | float) for value in values)
        for values in found.values()
    ):
        raise InputError(f"{path}: expected lists of numbers by name, as s2s-train writes them")
    if len({len(values) for values in found.values()}) > 1:
        raise InputError(f"{path}: expected lists of one length, a number for each epoch")
    return found


def _best_epoch(folder: Path) -> int | None:
    """Return the epoch whose weights a run kept; None where the run has not ended, and so not said."""
    path = folder / "summary.json"
    found = read_json(path) if path.is_file() else {}
    best = found.get("best") if isinstance(found, dict) else None
    epoch = best.get("epoch") if isinstance(best, dict) else None
    return int(epoch) if isinstance(epoch, int | float) else None


def main() -> None:
    """Run the command."""
    app()

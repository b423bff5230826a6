"""The command s2s-plot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from s2s_runtime.commands.command_options import typed
from s2s_runtime.commands.evaluate import EvaluateOptions
from s2s_runtime.console.app import command, group, make_app, typer
from s2s_runtime.errors import InputError
from s2s_runtime.files.json_fields import read_json
from s2s_runtime.options import DecodingOptions

if TYPE_CHECKING:
    from s2s_runtime.evaluation import Decoded
    from s2s_runtime.model import Model

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
    """Draw what the decoder looked at: source tokens across, target tokens down."""
    _check(output)
    from s2s_runtime import load
    from s2s_runtime.plots.attention import plot_attention

    [result] = load(bundle).generate([text], beam_size=beam_size, return_attention=True)
    plot_attention(result.hypotheses[0], result.source_tokens, output)


@command(app, epilog='**Example** `s2s-plot tags tagger.s2s "the dog saw a park" -o tags.png`')
def tags(
    bundle: Bundle, text: Annotated[str, typer.Argument(metavar="TEXT", help="What to tag.")], output: Output
) -> None:
    """Draw the tags of a text under its words: of a bundle that gives one for each symbol of its source."""
    _check(output)
    from s2s_runtime import load
    from s2s_runtime.plots.strips import plot_tags

    model = load(bundle)
    if not model.manifest.target.aligned:
        raise InputError("plot of tags: expected a bundle that gives an output for each symbol of its source")
    [result] = model.generate([text])
    plot_tags(result.source_tokens, result.tokens, output)


@command(app, epilog="**Example** `s2s-plot alignment speech.s2s spectrogram.npy --beam-size 16 -o alignment.png`")
def alignment(
    bundle: Bundle,
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="What to read: one array, as numpy.save writes it.")],
    output: Output,
    beam_size: BeamSize = 1,
) -> None:
    """Draw which frames say which symbol: of a bundle trained with CTC."""
    _check(output)
    from s2s_runtime import load
    from s2s_runtime.files.array_files import read_array
    from s2s_runtime.plots.strips import plot_alignment

    [result] = load(bundle).generate([read_array(source)], beam_size=beam_size, return_alignments=True)
    plot_alignment(result.tokens, result.hypotheses[0].alignment, output)


@command(app, epilog="**Example** `s2s-plot history runs/mine/seed-* -o losses.svg`")
def history(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders written by s2s-train.")],
    output: Output,
) -> None:
    """Draw losses and accuracies over the epochs: of one run both parts, of several the validation figures."""
    _check(output)
    from s2s_runtime.plots.runs import plot_history

    folders = [folder for run in runs for folder in (sorted(run.glob("seed-*")) or [run])]
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
    """Draw what a continuous model predicts in four windows, each value fed back, beside input and truth."""
    _check(output)
    import numpy as np

    from s2s_runtime import load
    from s2s_runtime.plots.runs import Windows, plot_predictions

    data = Windows.read(bundle.parent / "windows.npz" if windows is None else windows)
    shown = data.sources[list(data.shown)]
    plot_predictions(data, np.asarray(load(bundle).predict(shown, steps=data.targets.shape[1])), output)


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
    """Draw how long sources, right targets and outputs are, in tokens of the bundle's vocabularies."""
    _check(output)
    from s2s_runtime.evaluation import split_decoded
    from s2s_runtime.plots.runs import plot_lengths

    model, decoded = _decoded(bundle, pairs, beam_size, rows, encoding, strict=strict)
    outputs, references = split_decoded(model, decoded)
    vocabulary = model.source_vocabulary
    if vocabulary is None:
        raise InputError("length plot: expected a bundle with a source vocabulary, this one knows numbers only")
    counts = {
        "sources": [len(vocabulary.split(source)) for source in decoded.sources],
        "right targets": [len(right[0]) for right in references],
        "outputs": [len(output) for output in outputs],
    }
    plot_lengths(counts, output)


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
    """Draw how many edits outputs are from right, and which lengths go wrong."""
    _check(output)
    from s2s_runtime.evaluation import split_decoded
    from s2s_runtime.plots.runs import plot_errors

    plot_errors(*split_decoded(*_decoded(bundle, pairs, beam_size, rows, encoding, strict=strict)), output)


@command(app, epilog="**Example** `s2s-plot reliability model.s2s test.tsv -o reliability.png`")
def reliability(
    bundle: Bundle,
    pairs: Pairs,
    output: Output,
    beam_size: BeamSize = 1,
    rows: Rows = None,
    encoding: Encoding = None,
    strict: Strict = False,
) -> None:
    """Draw how often outputs are right over how sure the model is of them; s2s-calibrate brings both together."""
    _check(output)
    from s2s_runtime import load
    from s2s_runtime.commands.evaluate import read_warning
    from s2s_runtime.plots.reliability import plot_reliability
    from s2s_runtime.report.evaluated import measured_reliability

    references = read_warning(pairs, rows, encoding, strict=strict)
    found = measured_reliability(load(bundle), references, beam_size)
    points = [(one.confidence, one.right, one.count) for one in found.bins]
    plot_reliability(points, found.error, output, title=f"{bundle.name} on {pairs.name}")


def _decoded(
    bundle: Path, pairs: Path, beam_size: int, rows: int | None, encoding: str | None, *, strict: bool
) -> tuple[Model, Decoded]:
    """Load a bundle and decode the sources of pairs with it."""
    from s2s_runtime import load
    from s2s_runtime.commands.evaluate import decode_all, read_warning

    model = load(bundle)
    return model, decode_all(model, read_warning(pairs, rows, encoding, strict=strict), beam_size=beam_size)


def _check(output: Path) -> None:
    """Check that the picture can be written, before the work."""
    from s2s_runtime.plots.figures import check_picture

    check_picture(output)


def _history(folder: Path) -> dict[str, list[float]]:
    """Return the figures of a run.

    Raises:
        FileNotFoundError: the folder holds no history.
        InputError: the file holds something else.
    """
    path = folder / "history.json"
    figures = read_json(path)
    if not isinstance(figures, dict) or not all(
        isinstance(values, list) and all(isinstance(value, int | float) for value in values)
        for values in figures.values()
    ):
        raise InputError(f"{path}: expected lists of numbers by name, as s2s-train writes them")
    if len({len(values) for values in figures.values()}) > 1:
        raise InputError(f"{path}: expected lists of one length, a number for each epoch")
    return figures


def _best_epoch(folder: Path) -> int | None:
    """Return the epoch whose weights a run kept; None where the run has not ended yet."""
    path = folder / "summary.json"
    content = read_json(path) if path.is_file() else {}
    best = content.get("best") if isinstance(content, dict) else None
    epoch = best.get("epoch") if isinstance(best, dict) else None
    return int(epoch) if isinstance(epoch, int | float) else None


def main() -> None:
    """Run the command."""
    app()

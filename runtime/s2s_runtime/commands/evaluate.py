"""The command s2s-evaluate."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from s2s_runtime.commands.command_options import Given, takes
from s2s_runtime.commands.decode_options import LoadOptions
from s2s_runtime.commands.load_bundles import load_together
from s2s_runtime.console.app import UsageError, command, make_app, typer, warn
from s2s_runtime.declared_options import Option, taken_by
from s2s_runtime.options import DecodingOptions

if TYPE_CHECKING:
    from s2s_runtime.evaluation import Decoded, Evaluation
    from s2s_runtime.model import Model

app = make_app()
SEARCHED: Final = taken_by(DecodingOptions, "evaluate")

EPILOG = """
**Examples**

`s2s-evaluate runs/pronunciation/model.s2s runs/pronunciation/test.tsv --beam-size 5`

`s2s-evaluate model.s2s fra.txt --first-target --rows 1000 --bleu --json`

`s2s-evaluate seed-1/model.s2s dev.tsv --ensemble-with seed-2/model.s2s --ensemble-with seed-3/model.s2s`
"""


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """The options that say what s2s-evaluate counts, and where it writes."""

    bundle: Annotated[Path, Option(positional=True, metavar="BUNDLE")]
    """Folder written by s2s-export."""

    pairs: Annotated[Path, Option(positional=True, metavar="PAIRS")]
    """TSV file: source, right target, further right targets."""

    rows: Annotated[int | None, Option(at_least=1)] = None
    """Only the first so many lines."""

    encoding: Annotated[str | None, Option(metavar="NAME")] = None
    """Encoding of PAIRS, such as utf-16 or latin-1; default: UTF-8."""

    strict: Annotated[bool, Option()] = False
    """Refuse lines without source or target; otherwise they are left out and counted."""

    first_target: Annotated[bool, Option()] = False
    """Columns after the second are no right targets."""

    bleu: Annotated[bool, Option()] = False
    """BLEU and chrF too; needs s2s-runtime[evaluate]."""

    outputs: Annotated[Path | None, Option()] = None
    """Write source, output and right targets here, a line each."""

    as_json: Annotated[bool, Option(flags=["--json"])] = False
    """Write one JSON object."""


@command(app, epilog=EPILOG)
@takes(EvaluateOptions, DecodingOptions, LoadOptions, only={DecodingOptions: SEARCHED})
def evaluate(given: Given) -> None:
    """Decode the sources of a file and compare the outputs with what is right.

    Counts wrong sequences (the word error rate of a pronunciation model) and wrong tokens (its phone error rate). An
    output is right if any of the right targets of its source equals it.
    """
    options, typed = EvaluateOptions(**given.of(EvaluateOptions)), given.typed
    searched = {name: given.values[name] for name in SEARCHED}
    loaded = LoadOptions(**given.of(LoadOptions))
    if searched["beam_size"] == 1 and "length_penalty" in typed:
        raise UsageError("--length-penalty: needs --beam-size, as greedy search compares no lengths")
    if not loaded.ensemble_with and "ensemble_mean" in typed:
        raise UsageError("--ensemble-mean: needs --ensemble-with")
    if options.outputs is not None:
        _check_outputs(options.outputs, options.pairs)
    from s2s_runtime.evaluation import evaluate, import_metrics

    if options.bleu:
        import_metrics()  # that it is missing is said before the work
    references = read_warning(
        options.pairs, options.rows, options.encoding, strict=options.strict, first_only=options.first_target
    )
    model = load_together(options.bundle, loaded)
    decoded = decode_all(model, references, **searched)
    evaluation = evaluate(model, decoded, bleu=options.bleu)
    if options.outputs is not None:
        _write(decoded, options.outputs)
    if options.as_json:
        setting: dict[str, object] = {"bundle": str(options.bundle), "pairs": str(options.pairs)}
        setting |= {"ensemble_with": [str(path) for path in loaded.ensemble_with]}
        setting |= {"ensemble_mean": loaded.ensemble_mean} if loaded.ensemble_with else {}
        typer.echo(json.dumps({**setting, **searched, **evaluation.to_dict()}, indent=1, ensure_ascii=False))
    else:
        typer.echo(_describe(evaluation))


def read_warning(
    pairs: Path, rows: int | None, encoding: str | None, *, strict: bool = False, first_only: bool = False
) -> dict[str, list[str]]:
    """Read a file of pairs; see `read_references`. Say on stderr which lines were left out."""
    from s2s_runtime.evaluation import read_references
    from s2s_runtime.files.pair_rows import LeftOut

    left_out = LeftOut(strict)
    references = read_references(pairs, rows, first_only=first_only, encoding=encoding, left_out=left_out)
    message = left_out.message(str(pairs))
    if message is not None:
        warn(f"warning: {message}")
    return references


def decode_all(model: Model, references: dict[str, list[str]], beam_size: int, length_penalty: float = 1.0) -> Decoded:
    """Decode with a progress bar on stderr."""
    from s2s_runtime.console.progress import counted
    from s2s_runtime.evaluation import decode_pairs

    done = 0
    with counted("decoding") as progress:

        def advance(count: int) -> None:
            nonlocal done
            done += count
            progress(done, len(references))

        return decode_pairs(model, references, advance, beam_size=beam_size, length_penalty=length_penalty)


def _describe(evaluation: Evaluation) -> str:
    rates = evaluation.errors
    lines = [
        f"{rates.sequences} sources, decoded in {evaluation.seconds:.1f} s",
        f"wrong sequences  {rates.sequence_error_rate:.2%}",
        f"wrong tokens     {rates.token_error_rate:.2%}",
    ]
    if evaluation.bleu is not None and evaluation.chrf is not None:
        lines += [
            f"BLEU             {evaluation.bleu:.2f}  ({evaluation.signatures['bleu']})",
            f"chrF             {evaluation.chrf:.2f}  ({evaluation.signatures['chrf']})",
        ]
    return "\n".join(lines)


def _check_outputs(outputs: Path, pairs: Path) -> None:
    """Check, before the work, whether outputs can be written to a file.

    Raises:
        UsageError: it is the file of pairs or a folder, or its folder doesn't exist.
    """
    from s2s_runtime.decoding.text_files import is_same_file

    if is_same_file(outputs, pairs):
        raise UsageError(f"--outputs: expected another file than the pairs, got {outputs}")
    if outputs.is_dir() or not outputs.parent.is_dir():
        raise UsageError(f"--outputs: expected a file in a folder that is there, got {outputs}")


def _write(decoded: Decoded, path: Path) -> None:
    from s2s_runtime.files.atomic_write import write_text

    columns = zip(decoded.sources, decoded.outputs, decoded.references, strict=True)
    write_text(path, "".join("\t".join((source, output, *right)) + "\n" for source, output, right in columns))


def main() -> None:
    """Run the command."""
    app()

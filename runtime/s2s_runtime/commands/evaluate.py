"""The command s2s-evaluate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from s2s_runtime.commands.console import (
    AllowFallback,
    Providers,
    Threads,
    UsageError,
    command,
    load_together,
    make_app,
    typed_options,
    typer,
)
from s2s_runtime.commands.decode_options import Mean

if TYPE_CHECKING:
    from s2s_runtime.evaluation.evaluate import Decoded, Evaluation
    from s2s_runtime.model import Model

app = make_app()

EPILOG = """
**Examples**

`s2s-evaluate runs/pronunciation/model.s2s runs/pronunciation/test.tsv --beam-size 5`

`s2s-evaluate model.s2s fra.txt --first-target --rows 1000 --bleu --json`

`s2s-evaluate seed-1/model.s2s dev.tsv --ensemble-with seed-2/model.s2s --ensemble-with seed-3/model.s2s`
"""


@command(app, epilog=EPILOG)
def evaluate(
    context: typer.Context,
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder written by s2s-export.")],
    pairs: Annotated[
        Path, typer.Argument(metavar="PAIRS", help="TSV file: source, right target, further right targets.")
    ],
    beam_size: Annotated[int, typer.Option(min=1, help="1 = greedy.")] = 1,
    length_penalty: Annotated[float, typer.Option(help="As in s2s-decode.")] = 1.0,
    rows: Annotated[int | None, typer.Option(min=1, help="Only the first so many lines.")] = None,
    first_target: Annotated[
        bool, typer.Option("--first-target", help="Columns after the second are no right targets.")
    ] = False,
    bleu: Annotated[bool, typer.Option("--bleu", help="BLEU and chrF too; needs s2s-runtime[evaluate].")] = False,
    outputs: Annotated[
        Path | None, typer.Option(help="Write source, output and right targets here, a line each.")
    ] = None,
    ensemble_with: Annotated[
        list[Path] | None, typer.Option(help="Further bundle whose probabilities are averaged in; may be repeated.")
    ] = None,
    ensemble_mean: Annotated[Mean, typer.Option(help="What an ensemble averages.")] = "probabilities",
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object.")] = False,
    provider: Providers = None,
    allow_fallback: AllowFallback = False,
    threads: Threads = None,
) -> None:
    """Decode the sources of a file and compare the outputs with what is right.

    Counts wrong sequences (the word error rate of a pronunciation model) and wrong tokens (its phone error rate). An
    output is right if any of the right targets of its source equals it.
    """
    if beam_size == 1 and "length_penalty" in typed_options(context):
        raise UsageError("--length-penalty: needs --beam-size, as greedy search compares no lengths")
    if ensemble_with is None and "ensemble_mean" in typed_options(context):
        raise UsageError("--ensemble-mean: needs --ensemble-with")
    if outputs is not None:
        _check_outputs(outputs, pairs)
    from s2s_runtime.evaluation.evaluate import evaluate, import_metrics, read_references

    if bleu:
        import_metrics()  # that it is missing is said before the work
    references = read_references(pairs, rows, first_only=first_target)
    loading = {"intra_op_threads": threads, "allow_fallback": allow_fallback}
    model = load_together([bundle, *(ensemble_with or ())], provider, ensemble_mean, **loading)
    decoded = decode_all(model, references, beam_size, length_penalty)
    found = evaluate(model, decoded, bleu=bleu)
    if outputs is not None:
        _write(decoded, outputs)
    if as_json:
        setting: dict[str, object] = {"bundle": str(bundle), "pairs": str(pairs)}
        setting |= {"ensemble_with": [str(each) for each in ensemble_with or ()]}
        setting |= {"ensemble_mean": ensemble_mean} if ensemble_with else {}
        setting |= {"beam_size": beam_size, "length_penalty": length_penalty}
        typer.echo(json.dumps({**setting, **found.to_dict()}, indent=1, ensure_ascii=False))
    else:
        typer.echo(_describe(found))


def decode_all(model: Model, references: dict[str, list[str]], beam_size: int, length_penalty: float = 1.0) -> Decoded:
    """Decode with a progress bar on stderr."""
    from s2s_runtime.commands.terminal import counted
    from s2s_runtime.evaluation.evaluate import decode_pairs

    done = 0
    with counted("decoding") as progress:

        def advance(count: int) -> None:
            nonlocal done
            done += count
            progress(done, len(references))

        return decode_pairs(model, references, advance, beam_size=beam_size, length_penalty=length_penalty)


def _describe(found: Evaluation) -> str:
    rates = found.errors
    lines = [
        f"{rates.sequences} sources, decoded in {found.seconds:.1f} s",
        f"wrong sequences  {rates.sequence_error_rate:.2%}",
        f"wrong tokens     {rates.token_error_rate:.2%}",
    ]
    if found.bleu is not None and found.chrf is not None:
        lines += [
            f"BLEU             {found.bleu:.2f}  ({found.signatures['bleu']})",
            f"chrF             {found.chrf:.2f}  ({found.signatures['chrf']})",
        ]
    return "\n".join(lines)


def _check_outputs(outputs: Path, pairs: Path) -> None:
    """See, before the work, whether outputs can go there.

    Raises:
        UsageError: it is the file of pairs, or no file in a folder that is there.
    """
    from s2s_runtime.decoding.text_files import is_same_file

    if is_same_file(outputs, pairs):
        raise UsageError(f"--outputs: expected another file than the pairs, got {outputs}")
    if outputs.is_dir() or not outputs.parent.is_dir():
        raise UsageError(f"--outputs: expected a file in a folder that is there, got {outputs}")


def _write(decoded: Decoded, path: Path) -> None:
    from s2s_runtime.files.json_fields import write_text

    columns = zip(decoded.sources, decoded.outputs, decoded.references, strict=True)
    write_text(path, "".join("\t".join((source, output, *right)) + "\n" for source, output, right in columns))


def main() -> None:
    """Run the command."""
    app()

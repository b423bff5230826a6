"""The command s2s-evaluate."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Unpack
from zipfile import is_zipfile

from s2s_runtime.commands.command_options import Given, takes
from s2s_runtime.commands.decode_options import LoadOptions, ensemble_problems
from s2s_runtime.commands.load_bundles import load_together
from s2s_runtime.console.app import UsageError, command, make_app, typer, warn
from s2s_runtime.declared_options import Option, declared, differs, taken_by
from s2s_runtime.options import DecodingOptions

if TYPE_CHECKING:
    from s2s_runtime.evaluation import Decoded, Evaluation
    from s2s_runtime.files.pair_rows import LeftOut
    from s2s_runtime.model import Model
    from s2s_runtime.options import OptionValues
    from s2s_runtime.report.significance import Compared

app = make_app()
SEARCHED: Final = taken_by(DecodingOptions, "evaluate")

_TOLD: Final = ("beam_size", "length_penalty")

EPILOG = """
**Examples**

`s2s-evaluate runs/pronunciation/model.s2s runs/pronunciation/test.tsv --beam-size 5`

`s2s-evaluate model.s2s fra.txt --first-target --rows 1000 --bleu --json`

`s2s-evaluate model.s2s dev.tsv --beam-size 5 --report errors.html --training train.tsv`

`s2s-evaluate runs/writer/model.s2s runs/writer/test.txt`

`s2s-evaluate new.s2s dev.tsv --against old.s2s`

`s2s-evaluate seed-1/model.s2s dev.tsv --ensemble-with seed-2/model.s2s --ensemble-with seed-3/model.s2s`

`s2s-evaluate model.s2s dev.tsv --beam-size 5 --language-model writer.s2s --language-model-weight 0.2`
"""


@dataclass(frozen=True, kw_only=True)
class PairOptions:
    """The options that say how a command reads its pairs."""

    rows: Annotated[int | None, Option(at_least=1)] = None
    """Only the first so many lines."""

    encoding: Annotated[str | None, Option(metavar="NAME")] = None
    """Encoding of PAIRS, such as utf-16 or latin-1; default: UTF-8."""

    strict: Annotated[bool, Option()] = False
    """Refuse lines without source or target; otherwise they are left out and counted."""


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(PairOptions):
    """The options that say what s2s-evaluate counts, and where it writes."""

    bundle: Annotated[Path, Option(positional=True, metavar="BUNDLE")]
    """Folder written by s2s-export."""

    pairs: Annotated[Path, Option(positional=True, metavar="PAIRS")]
    """TSV file: source, right target, further right targets; of a language model a text, whose perplexity is told."""

    first_target: Annotated[bool, Option()] = False
    """Columns after the second are no right targets."""

    bleu: Annotated[bool, Option()] = False
    """BLEU and chrF too; needs s2s-runtime[evaluate]."""

    outputs: Annotated[Path | None, Option()] = None
    """Write source, output and right targets here, a line each."""

    report: Annotated[Path | None, Option(metavar="FILE.html")] = None
    """Write a page of the errors here: worst outputs, confused tokens, errors by length and by frequency, confidence,
    and what is right further down the beam."""

    training: Annotated[Path | None, Option(metavar="PAIRS")] = None
    """What the model was trained on, in whose targets --report counts how often tokens occur; default: PAIRS."""

    against: Annotated[Path | None, Option(metavar="SYSTEM")] = None
    """Compare with this bundle, or with outputs that --outputs wrote: differences, and how sure they are."""

    as_json: Annotated[bool, Option(flags=["--json"])] = False
    """Write one JSON object."""


@command(app, epilog=EPILOG)
@takes(EvaluateOptions, DecodingOptions, LoadOptions, only={DecodingOptions: SEARCHED})
def evaluate(given: Given) -> None:
    """Decode the sources of a file and compare the outputs with what is right.

    Counts wrong sequences (the word error rate of a pronunciation model) and wrong tokens (its phone error rate). An
    output is right if any of the right targets of its source equals it. A language model is asked how well it predicts
    the lines of a text.
    """
    options, typed = EvaluateOptions(**given.of(EvaluateOptions)), given.typed
    searched = {name: given.values[name] for name in SEARCHED}
    if searched["rescore"]:
        searched["num_hypotheses"] = searched["beam_size"]
    loaded = LoadOptions(**given.of(LoadOptions))
    if searched["beam_size"] == 1 and "length_penalty" in typed:
        raise UsageError("--length-penalty: needs --beam-size, as greedy search compares no lengths")
    for problem in ensemble_problems(loaded, typed):
        raise UsageError(problem)
    if options.training is not None and options.report is None:
        raise UsageError("--training: needs --report, which counts its tokens")
    for flag, path in (("--outputs", options.outputs), ("--report", options.report)):
        if path is not None:
            _check_writable(flag, path, options)
    from s2s_runtime.evaluation import evaluate, import_metrics

    if options.bleu:
        import_metrics()  # that it is missing is said before the work
    model = load_together(options.bundle, loaded)
    if model.manifest.kind == "decoder-only":
        _predict_lines(model, options, typed)
        return
    references = read_warning(
        options.pairs, options.rows, options.encoding, strict=options.strict, first_only=options.first_target
    )
    scored: OptionValues = {}
    if options.report is not None:
        sure = model.manifest.kind != "ctc"
        scored = {"return_confidence": sure, "return_scores": True, "num_hypotheses": searched["beam_size"]}
    decoded = decode_all(model, references, keep_results=options.report is not None, **searched, **scored)
    evaluation = evaluate(model, decoded, bleu=options.bleu)
    if options.outputs is not None:
        _write(decoded, options.outputs)
    compared = _look_closer(options, loaded, model, decoded, evaluation, searched)
    if options.as_json:
        setting: dict[str, object] = {"bundle": str(options.bundle), "pairs": str(options.pairs)}
        setting |= {"ensemble_with": [str(path) for path in loaded.ensemble_with]}
        together = {"ensemble_mean": loaded.ensemble_mean, "ensemble_combine": loaded.ensemble_combine}
        setting |= together if loaded.ensemble_with else {}
        setting |= {"ensemble_weight": list(loaded.ensemble_weight)} if loaded.ensemble_weight else {}
        figures = evaluation.to_dict() | ({} if compared is None else {"compared": compared.to_dict()})
        typer.echo(json.dumps({**setting, **_told(searched), **figures}, indent=1, ensure_ascii=False))
    else:
        typer.echo("\n".join([_describe(evaluation), *([] if compared is None else _describe_compared(compared))]))


def _predict_lines(model: Model, options: EvaluateOptions, typed: Mapping[str, str]) -> None:
    """Print how well a language model predicts the lines of a text.

    Raises:
        UsageError: an option was typed that is for pairs alone.
    """
    from s2s_runtime.console.progress import advancing
    from s2s_runtime.evaluation import perplexity, read_lines

    taken = {"bundle", "pairs", "as_json", *declared(PairOptions), *declared(LoadOptions)}
    others = [flag for name, flag in typed.items() if name not in taken]
    if others:
        raise UsageError(f"{', '.join(others)}: no meaning for a language model, which is asked for perplexity alone")
    with _left_out(options.pairs, strict=options.strict) as left_out:
        lines = read_lines(options.pairs, options.rows, options.encoding, left_out)
    with advancing("scoring", len(lines)) as advance:
        found = perplexity(model, lines, advance)
    if options.as_json:
        told = {"bundle": str(options.bundle), "text": str(options.pairs), **asdict(found)}
        typer.echo(json.dumps(told, indent=1, ensure_ascii=False))
    else:
        typer.echo(f"{found.lines} lines, {found.symbols} symbols predicted")
        typer.echo(f"perplexity       {found.perplexity:.4f}")


def read_warning(
    pairs: Path, rows: int | None, encoding: str | None, *, strict: bool = False, first_only: bool = False
) -> dict[str, list[str]]:
    """Read a file of pairs; see `read_references`. Say on stderr which lines were left out."""
    from s2s_runtime.evaluation import read_references

    with _left_out(pairs, strict=strict) as left_out:
        return read_references(pairs, rows, first_only=first_only, encoding=encoding, left_out=left_out)


@contextmanager
def _left_out(path: Path, *, strict: bool) -> Iterator[LeftOut]:
    """Yield what counts the lines left out of a file; say on stderr which they were, once the file is read."""
    from s2s_runtime.files.pair_rows import LeftOut

    left_out = LeftOut(strict)
    yield left_out
    message = left_out.message(str(path))
    if message is not None:
        warn(f"warning: {message}")


def decode_all(
    model: Model, references: dict[str, list[str]], *, keep_results: bool = False, **options: Unpack[OptionValues]
) -> Decoded:
    """Decode with a progress bar on stderr; see `decode_pairs`."""
    from s2s_runtime.console.progress import advancing
    from s2s_runtime.evaluation import decode_pairs

    with advancing("decoding", len(references)) as advance:
        return decode_pairs(model, references, advance, keep_results=keep_results, **options)


def _describe(evaluation: Evaluation) -> str:
    rates = evaluation.errors
    lines = [f"{rates.sequences} sources, decoded in {evaluation.seconds:.1f} s"]
    for name, figure in _figures(evaluation):
        signature = evaluation.signatures.get(name.lower())
        lines.append(f"{name:15}  {figure}" + ("" if signature is None else f"  ({signature})"))
    return "\n".join(lines)


def _describe_compared(compared: Compared) -> list[str]:
    lines = ["", f"against {compared.against}: only here right {len(compared.gained)}, only there {len(compared.lost)}"]
    for one in compared.differences:
        this, other = one.points(one.first), one.points(one.other)
        gap = f"{this - other:+.2f}, 95% {one.interval()}, p {one.p:.4f}"
        lines.append(f"{one.name:15}  {this:.2f} here, {other:.2f} there: {gap}")
    return lines


def _told(searched: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of how was searched: what always is, and what was given beside it, paths as texts."""
    known = declared(DecodingOptions)
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in searched.items()
        if name in _TOLD or differs(value, known[name].default)
    }


def _look_closer(
    options: EvaluateOptions,
    loaded: LoadOptions,
    model: Model,
    decoded: Decoded,
    evaluation: Evaluation,
    searched: dict[str, Any],
) -> Compared | None:
    """Compare with another system and write the page of errors, as far as asked for; return the comparison."""
    if options.against is options.report is None:
        return None
    from s2s_runtime.report.evaluated import compare_systems, count_targets, make_items
    from s2s_runtime.report.page import Report

    items = make_items(model, decoded, searched["length_penalty"])
    compared = None
    if options.against is not None:
        other = _other(options.against, loaded, decoded, searched)
        compared = compare_systems(str(options.against), model, decoded, items, other, bleu=options.bleu)
    if options.report is not None:
        from s2s_runtime.files.atomic_write import write_text

        trained = options.training or options.pairs
        counted = read_warning(trained, None, options.encoding, first_only=options.first_target)
        vocabulary = model.target_vocabulary
        page = Report(
            title=f"{' and '.join(map(str, (options.bundle, *loaded.ensemble_with)))} on {options.pairs}",
            settings=", ".join(f"{name.replace('_', ' ')} {value}" for name, value in _told(searched).items()),
            figures={"sources": f"{evaluation.errors.sequences:,}", **dict(_figures(evaluation))},
            items=items,
            occurring=count_targets(model, counted),
            counted_in=str(trained),
            spaced=vocabulary is not None and vocabulary.unit != "char",
            compared=compared,
        )
        write_text(options.report, page.to_html())
    return compared


def _other(against: Path, loaded: LoadOptions, decoded: Decoded, searched: dict[str, Any]) -> Decoded:
    """Return what another system writes, or wrote, for the same sources."""
    if not (against.is_dir() or is_zipfile(against)):
        from s2s_runtime.report.evaluated import read_outputs

        return read_outputs(against, decoded)
    references = {source: list(right) for source, right in zip(decoded.sources, decoded.references, strict=True)}
    return decode_all(
        load_together(against, replace(loaded, ensemble_with=(), ensemble_weight=())), references, **searched
    )


def _figures(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    """Yield the names of the figures of the whole, and how they are shown."""
    rates = evaluation.errors
    yield "wrong sequences", f"{rates.sequence_error_rate:.2%}"
    yield "wrong tokens", f"{rates.token_error_rate:.2%}"
    if evaluation.bleu is not None and evaluation.chrf is not None:
        yield from (("BLEU", f"{evaluation.bleu:.2f}"), ("chrF", f"{evaluation.chrf:.2f}"))


def _check_writable(flag: str, path: Path, options: EvaluateOptions) -> None:
    """Check, before the work, whether a file can be written.

    Raises:
        UsageError: it is a file that is read or a folder, or its folder doesn't exist.
    """
    from s2s_runtime.decoding.text_files import is_same_file

    read = {"the pairs": options.pairs, "--training": options.training, "--against": options.against}
    for name, other in read.items():
        if other is not None and is_same_file(path, other):
            raise UsageError(f"{flag}: expected another file than {name}, got {path}")
    if flag == "--report" and options.outputs is not None and path.absolute() == options.outputs.absolute():
        raise UsageError(f"--report: expected another file than --outputs, got {path}")
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"{flag}: expected a file in a folder that is there, got {path}")


def _write(decoded: Decoded, path: Path) -> None:
    from s2s_runtime.files.atomic_write import write_text

    columns = zip(decoded.sources, decoded.outputs, decoded.references, strict=True)
    write_text(path, "".join("\t".join((source, output, *right)) + "\n" for source, output, right in columns))


def main() -> None:
    """Run the command."""
    app()

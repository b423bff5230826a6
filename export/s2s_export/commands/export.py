"""The command `s2s-export`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from s2s_runtime.commands.console import command, make_app, typed_options
from s2s_runtime.commands.manners import UsageError, after_interrupt, result_console
from s2s_runtime.commands.terminal import stages
from s2s_runtime.spelling import as_flags, option

if TYPE_CHECKING:
    from s2s_export.options import ExportOptions
    from s2s_runtime.vocabulary.vocabulary_file import Unit, VocabularyFile

app = make_app()

_EPILOG = """
**Examples**

`s2s-export model.keras` writes `model.s2s`, its vocabulary found in `vocab.json` beside the model.

`s2s-export model.keras -o out/translator.s2s --vocab vocab.json --verify-with sentences.txt`

`s2s-export model.h5 --start-id 0 --end-id 1 --source-length 16 --padding zeros --max-length 59` for a tutorial's model
that only knows numbers.

`s2s-export model.h5 --pairs fra.txt --rows 10000` finds how a tutorial's model was fed in its pairs.

`s2s-export model.h5 --pairs fra.txt --expect printed.txt` proves it by what the tutorial's script printed.

`s2s-export --weights model.weights.h5 --model-fn my_script:build_model` for weights saved without their model.

`s2s-export model.keras --dry-run` shows what would be encoder and what decoder.
"""

_GRAPH, _TEXT, _FILES = "What the graph can't tell", "Vocabulary and padding", "Files"


@command(app, epilog=_EPILOG)
@as_flags()
def export(
    context: typer.Context,
    model: Annotated[
        Path | None, typer.Argument(help="A model saved by Keras: .keras or .h5.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Bundle to write. Default: MODEL.s2s beside the model.")
    ] = None,
    vocab: Annotated[
        Path | None,
        typer.Option(help="vocab.json. Default: the one beside the model, if any.", rich_help_panel=_TEXT),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            "--pairs",
            "--vocab-from",
            help="Pairs (TSV) the model was trained on: they tell its vocabularies, padding and lengths.",
            rich_help_panel=_TEXT,
        ),
    ] = None,
    expect: Annotated[
        Path | None,
        typer.Option(
            help="What your own loop gave, as proof: lines of source, tab, output, or as the tutorial's script prints.",
            rich_help_panel=_TEXT,
        ),
    ] = None,
    source_vocab: Annotated[
        Path | None,
        typer.Option(
            help="Symbols of the source: a Tokenizer's JSON, a JSON dictionary or list, or text with a symbol a line.",
            rich_help_panel=_TEXT,
        ),
    ] = None,
    target_vocab: Annotated[
        Path | None, typer.Option(help="Those of the target, likewise.", rich_help_panel=_TEXT)
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(
            min=1, help="Rows of --pairs that were used. Default: those that give its sizes.", rich_help_panel=_TEXT
        ),
    ] = None,
    unit: Annotated[
        Literal["char", "word", "symbol"] | None,
        typer.Option(help="How text is cut. Default: as the symbols show; char for --pairs.", rich_help_panel=_TEXT),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Encoding of --pairs and --verify-with, such as utf-16 or latin-1. Default: UTF-8.",
            rich_help_panel=_TEXT,
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option(help=r"Start symbol of the target; \t and \n are understood.", rich_help_panel=_TEXT)
    ] = None,
    end: Annotated[str | None, typer.Option(help="End symbol of the target, likewise.", rich_help_panel=_TEXT)] = None,
    start_id: Annotated[int | None, typer.Option(min=0, help="Token fed first.", rich_help_panel=_TEXT)] = None,
    start_zeros: Annotated[
        bool,
        typer.Option(
            "--start-zeros", help="A row of zeros is fed first (models saved unrolled).", rich_help_panel=_TEXT
        ),
    ] = False,
    end_id: Annotated[
        list[int] | None,
        typer.Option(min=0, help="Token that ends a sequence; may be repeated.", rich_help_panel=_TEXT),
    ] = None,
    padding: Annotated[
        str | None,
        typer.Option(help="What fills short sources: zeros, a source symbol, or an id.", rich_help_panel=_TEXT),
    ] = None,
    padding_side: Annotated[str | None, typer.Option(help="right or left.", rich_help_panel=_TEXT)] = None,
    source_length: Annotated[
        int | None,
        typer.Option(
            min=1, help="Padded source length of training, for models without a mask.", rich_help_panel=_GRAPH
        ),
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(min=1, help="Most tokens to generate, the end counted.", rich_help_panel=_GRAPH)
    ] = None,
    source_kind: Annotated[
        str, typer.Option(help="What vectors in the source are: auto, one-hot or values.", rich_help_panel=_GRAPH)
    ] = "auto",
    decoder_input: Annotated[
        str | None, typer.Option(help="Name of the input that gets the target.", rich_help_panel=_GRAPH)
    ] = None,
    decoder_output: Annotated[
        str | None,
        typer.Option(help="Name of the output that is decoded, where there are several.", rich_help_panel=_GRAPH),
    ] = None,
    source_input: Annotated[
        str | None,
        typer.Option(help="Name of the input that gets the text, where there are several.", rich_help_panel=_GRAPH),
    ] = None,
    one_hot_input: Annotated[
        list[str] | None,
        typer.Option(help="A further source input of one-hot rows, by name; may be repeated.", rich_help_panel=_GRAPH),
    ] = None,
    trust_lambda: Annotated[
        bool, typer.Option("--trust-lambda", help="Run the Python code of Lambda layers.", rich_help_panel=_GRAPH)
    ] = False,
    custom_objects: Annotated[
        list[str] | None,
        typer.Option(help="Class the model uses, as module:Name; may be repeated.", rich_help_panel=_GRAPH),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="File of weights, in place of MODEL, for --model-fn.", rich_help_panel=_FILES)
    ] = None,
    model_fn: Annotated[
        str | None,
        typer.Option(help="Function that builds the model, as module:function.", rich_help_panel=_FILES),
    ] = None,
    verify_with: Annotated[
        Path | None,
        typer.Option(
            help="Texts to verify with, one a line; with --quantize or --dtype the right target may follow a tab.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    quantize: Annotated[
        Literal["int8"] | None,
        typer.Option(
            help="Weights of 8 bits: smaller and faster; what it changes is measured.", rich_help_panel=_FILES
        ),
    ] = None,
    dtype: Annotated[
        Literal["float32", "float16"],
        typer.Option(help="What the graphs compute in; float16 is for CUDA.", rich_help_panel=_FILES),
    ] = "float32",
    optimize: Annotated[
        Literal["none", "default"],
        typer.Option(help="Passes over the graphs: all, or the plain conversion.", rich_help_panel=_FILES),
    ] = "default",
    opset: Annotated[int, typer.Option(min=15, max=18, help="ONNX operator set.", rich_help_panel=_FILES)] = 18,
    atol: Annotated[float, typer.Option(help="Largest difference from Keras allowed.", rich_help_panel=_FILES)] = 1e-4,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing bundle.", rich_help_panel=_FILES)] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what is understood of the model; write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Turn a Keras encoder-decoder into a bundle that decodes without TensorFlow.

    The model is split into an encoder and a single-step decoder, converted to ONNX, and compared with Keras, tensor by
    tensor and token by token, before anything is written.
    """
    from s2s_export.understand.vocabularies import unescape

    _refuse_without_effect(typed_options(context))
    loading = _Loading.of(model, weights, model_fn)
    loading.trust_lambda, loading.names = trust_lambda, tuple(custom_objects or ())
    path = output if output is not None else loading.path.with_suffix(".s2s")
    settings: dict[str, Any] = {
        "start_symbol": unescape(start),
        "end_symbol": unescape(end),
        "start_id": start_id,
        "start_zeros": start_zeros,
        "end_ids": tuple(end_id or ()),
        "padding": padding,
        "padding_side": padding_side,
        "pairs": pairs,
        "rows": rows,
        "unit": unit,
        "encoding": encoding,
        "expect": expect,
        "source_length": source_length,
        "max_length": max_length,
        "source_kind": source_kind,
        "decoder_input": decoder_input,
        "decoder_output": decoder_output,
        "source_input": source_input,
        "one_hot_inputs": tuple(one_hot_input or ()),
        "quantize": quantize,
        "dtype": dtype,
        "optimize": optimize,
        "opset": opset,
        "atol": atol,
        "force": force,
    }
    words = _Words(loading.path, vocab, pairs, unit, source_vocab, target_vocab, encoding)
    options = _options(path, words, verify_with, settings, writes=not dry_run)
    with after_interrupt("nothing was written"):
        if dry_run:
            _show(loading, options, _arguments(context))
        else:
            _write(loading, path, options, _arguments(context), as_json=as_json)


_NEEDS = {"rows": ("pairs",), "unit": ("pairs", "source_vocab", "target_vocab")}
_BARRED_BY = {
    **dict.fromkeys(("as_json", "atol", "force", "verify_with"), "dry_run"),
    **dict.fromkeys(("trust_lambda", "custom_objects"), "model_fn"),
}


def _refuse_without_effect(typed: Mapping[str, str]) -> None:
    """Options typed that nothing would look at.

    Raises:
        UsageError: there are some.
    """
    problems = [
        f"{typed[name]}: needs {' or '.join(option(other) for other in others)}"
        for name, others in _NEEDS.items()
        if name in typed and not any(other in typed for other in others)
    ]
    if "encoding" in typed and not typed.keys() & {"pairs", "verify_with"}:
        problems.append("--encoding: needs --pairs or --verify-with")
    problems += [
        f"{typed[name]}: no effect with {typed[other]}"
        for name, other in _BARRED_BY.items()
        if name in typed and other in typed
    ]
    if problems:
        raise UsageError("; ".join(problems))


@dataclass
class _Loading:
    """A file and what loading it needs: of a whole model, or of weights for a function that builds the model."""

    path: Path
    function: str | None
    trust_lambda: bool = False
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: Path | None, weights: Path | None, function: str | None) -> _Loading:
        """Checks that a model is given, one way or the other."""
        if (model is None) == (weights is None) or (weights is None) != (function is None):
            raise UsageError("expected MODEL, or --weights FILE with --model-fn module:function")
        path = model if model is not None else weights
        if path is None or not path.is_file():
            raise FileNotFoundError(f"{path}: no such file; expected a model saved by Keras (.keras or .h5)")
        return cls(path, function)

    def load(self) -> Any:
        """Imports Keras, which takes seconds, and loads the model."""
        from s2s_export.keras_files.load import build_model, import_objects, load_model

        if self.function is not None:
            return build_model(self.function, self.path)
        objects = import_objects(self.names)
        return load_model(self.path, trust_lambda=self.trust_lambda, custom_objects=objects)


@dataclass(frozen=True)
class _Words:
    """Where the vocabularies come from."""

    model: Path
    vocab: Path | None
    pairs: Path | None
    unit: Unit | None
    source: Path | None
    target: Path | None
    encoding: str | None

    def read(self) -> VocabularyFile | None:
        """Return the vocabularies of a file; None where pairs, or files of one side each, tell them."""
        from s2s_runtime.vocabulary.vocabulary_file import VocabularyFile

        sides = self.source is not None or self.target is not None
        if self.vocab is not None and (sides or self.pairs is not None):
            raise UsageError("expected one of --vocab, --pairs, and --source-vocab with --target-vocab")
        if sides:
            return None
        beside = self.model.parent / "vocab.json"
        file = self.vocab
        if file is None and self.pairs is None and beside.is_file():
            file = beside
        return None if file is None else VocabularyFile.read(file)


def _options(
    path: Path, words: _Words, verify_with: Path | None, settings: dict[str, Any], *, writes: bool
) -> ExportOptions:
    """Everything that can be refused before TensorFlow is imported."""
    from s2s_export.arguments import Words
    from s2s_export.errors import ExportError
    from s2s_export.options import ExportOptions
    from s2s_export.understand.vocabularies import pairs_of_file
    from s2s_export.write import refuse_existing

    if writes:
        refuse_existing(path, force=settings["force"])
    options = ExportOptions(vocabulary=words.read(), **settings)
    if words.pairs is not None:
        pairs_of_file(words.pairs, encoding=words.encoding)
    if settings["expect"] is not None and not settings["expect"].is_file():
        raise FileNotFoundError(f"--expect: {settings['expect']}: no such file; expected outputs of your own loop")
    options = Words(words.source, words.target, unit=words.unit).added_to(options)
    texts = [] if verify_with is None else _lines(verify_with, words.encoding)
    if verify_with is not None and not texts:
        raise ExportError(f"{verify_with}: no texts to verify with; expected one a line, or leave --verify-with out")
    references: list[str] = []
    if options.precision != "float32":
        texts, references = _pairs(texts)
    return replace(options, verify_with=tuple(text for text in texts if text.strip()), references=tuple(references))


def _lines(path: Path, encoding: str | None) -> list[str]:
    from s2s_runtime.files.text_source import open_text

    with open_text(path, encoding) as texts:
        return [line for _, line in texts.lines() if line.strip()]


def _pairs(lines: list[str]) -> tuple[list[str], list[str]]:
    """Texts, and what follows the first tab of each, where every line has one."""
    parts = [line.split("\t") for line in lines]
    references = [part[1] for part in parts if len(part) > 1]
    return [part[0] for part in parts], references if len(references) == len(parts) else []


def _write(loading: _Loading, path: Path, options: ExportOptions, typed: list[str], *, as_json: bool) -> None:
    from s2s_export.errors import ExportError

    with stages() as tell:
        tell("loading TensorFlow")
        from s2s_training.quiet_import import import_quietly

        import_quietly()
        from s2s_export.exporter import export as run
        from s2s_export.report import print_exported, to_dict

        tell("loading the model")
        model = loading.load()
        exported = None
        try:
            exported = run(model, path, options, progress=tell)
        except ExportError as error:
            refused = error
    if exported is None:
        if not as_json:
            _tell_what_is_missing(model, options, typed, loading.path.parent)
        raise refused
    if as_json:
        typer.echo(json.dumps(to_dict(exported), indent=2))
    else:
        print_exported(result_console(), exported)


def _tell_what_is_missing(model: Any, options: ExportOptions, typed: list[str], folder: Path) -> None:
    """What the model shows and what to type next, where nothing else stands against its export."""
    from s2s_export.errors import ExportError
    from s2s_export.exporter import take_apart
    from s2s_export.report import print_first_look
    from s2s_export.understand.first_look import FirstLook

    try:
        look = FirstLook.at(lambda tried: take_apart(model, tried), options)
    except ExportError:
        return
    if look.missing:
        print_first_look(result_console(), look, options, look.next_command(typed, options, folder))


def _show(loading: _Loading, options: ExportOptions, typed: list[str]) -> None:
    with stages() as tell:
        tell("loading TensorFlow")
        from s2s_training.quiet_import import import_quietly

        import_quietly()
        from s2s_export.exporter import take_apart
        from s2s_export.report import print_first_look, print_understanding
        from s2s_export.understand.first_look import FirstLook

        tell("reading the model")
        model = loading.load()
        look = FirstLook.at(lambda tried: take_apart(model, tried), options)
    console = result_console()
    print_understanding(console, *look.parts[1:])
    print_first_look(console, look, options, look.next_command(typed, options, loading.path.parent))


def _arguments(context: typer.Context) -> list[str]:
    """What was typed, but for --dry-run: arguments, and options with their values."""
    typed = typed_options(context)
    found = []
    for name, flag in typed.items():
        value = context.params[name]
        if name == "dry_run":
            continue
        if name == "model":
            found.insert(0, str(value))
        elif isinstance(value, bool):
            found.append(flag)
        else:
            found += [part for each in (value if isinstance(value, list) else [value]) for part in (flag, str(each))]
    return found


def main() -> None:
    """Entry point of the command."""
    app()

"""The command `s2s-export`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2s_export.commands.export_settings import ExportSettings
from s2s_export.options import DRY_RUN, ExportOptions
from s2s_runtime.commands.command_options import Given, takes
from s2s_runtime.console.app import command, make_app
from s2s_runtime.console.manners import UsageError, after_interrupt, manners, result_console, typer
from s2s_runtime.console.progress import stages
from s2s_runtime.declared_options import declared
from s2s_runtime.spelling import as_flags, option

if TYPE_CHECKING:
    from s2s_runtime.vocabulary.vocabulary_file import VocabularyFile

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

`s2s-export model.json --weights weights.h5` for a model whose configuration was kept apart from its weights.

`s2s-export --encoder encoder.h5 --decoder decoder.h5 --start-id 1 --end-id 2` for the two models of a tutorial's loop,
where the training model was not kept.

`s2s-export model.keras --dry-run` shows what would be encoder and what decoder.
"""


@command(app, epilog=_EPILOG)
@takes(ExportSettings, ExportOptions)
@as_flags()
def export(given: Given) -> None:
    """Turn a Keras encoder-decoder into a bundle that decodes without TensorFlow.

    The model is split into an encoder and a single-step decoder, converted to ONNX, and compared with Keras, tensor by
    tensor and token by token, before anything is written.
    """
    _refuse_without_effect(given.typed)
    settings = ExportSettings(**given.of(ExportSettings))
    loading = _Loading.of(settings)
    options = _options(loading.path, settings, given.of(ExportOptions))
    typed = _arguments(given)
    with after_interrupt("nothing was written"):
        if settings.dry_run:
            _show(loading, options, typed)
        else:
            _write(loading, settings, options, typed)


_NEEDS = {
    "rows": ("pairs",),
    "unit": ("pairs", "source_vocab", "target_vocab"),
    "encoding": ("pairs", "expect", "source_vocab", "target_vocab", "verify_texts"),
    "state": ("decoder",),
    "encoder": ("decoder",),
    "decoder": ("encoder",),
}
_FLAGS = {"verify_texts": "--verify-with"}
_BARRED_BY = {
    **{
        name: "dry_run"
        for kind in (ExportSettings, ExportOptions)
        for name, each in declared(kind).items()
        if DRY_RUN in each.option.not_for
    },
    **dict.fromkeys(("trust_lambda", "custom_objects", "lambdas"), "model_fn"),
}


def _refuse_without_effect(typed: Mapping[str, str]) -> None:
    """Refuse options that were typed and that nothing would look at.

    Raises:
        UsageError: there are some.
    """
    problems = [
        f"{typed[name]}: needs {' or '.join(_FLAGS.get(other, option(other)) for other in others)}"
        for name, others in _NEEDS.items()
        if name in typed and not any(other in typed for other in others)
    ]
    problems += [
        f"{typed[name]}: no effect with {typed[other]}"
        for name, other in _BARRED_BY.items()
        if name in typed and other in typed
    ]
    if problems:
        raise UsageError("; ".join(problems))


@dataclass
class _Loading:
    """A model file and what loading it needs: a whole model, or the weights for a function that builds the model."""

    path: Path
    output: Path
    settings: ExportSettings

    @classmethod
    def of(cls, settings: ExportSettings) -> _Loading:
        """Check that a model is given, one way or the other."""
        from s2s_export.keras_files.file_kinds import is_config, refuse_missing_model, refuse_missing_weights

        model, weights, decoder = settings.model, settings.weights, settings.decoder
        described = model is not None and is_config(model) and weights is not None  # model.json and its weights
        ways = [way for way in (model, None if described else weights, decoder) if way is not None]
        built = described != (settings.model_fn is not None)  # what the weights are for
        if len(ways) != 1 or (weights is not None) != built:
            raise UsageError(
                "expected MODEL, or --encoder FILE with --decoder FILE, or --weights FILE with --model-fn "
                "module:function (or with model.json in MODEL's place)"
            )
        [path] = ways
        for file in filter(None, (model, settings.encoder, decoder)):
            refuse_missing_model(file)
        if weights is not None:
            refuse_missing_weights(weights)
        return cls(path, settings.output or path.with_suffix(".s2s"), settings)

    def load(self, options: ExportOptions) -> Any:
        """Import Keras, which takes seconds, and load the model."""
        from s2s_export.keras_files.load import build_model, import_objects, load_model, of_each_file

        if self.settings.model_fn is not None:
            return build_model(self.settings.model_fn, self.path)
        objects = import_objects(self.settings.custom_objects)
        load = partial(load_model, trust_lambda=self.settings.trust_lambda, custom_objects=objects)
        files = [file for file in (self.settings.encoder, self.path) if file is not None]
        *encoder, lambdas = of_each_file(files, _functions(self.settings.lambdas))
        if self.settings.encoder is None:
            return load(self.path, weights=self.settings.weights, lambdas=lambdas)
        from s2s_export.stepped_exports import paired

        pair = load(self.settings.encoder, lambdas=encoder[0]), load(self.path, lambdas=lambdas)
        return paired(*pair, options, _by_name(self.settings.state))


def _functions(lambdas: Sequence[str]) -> dict[str, Any]:
    """Return what each --lambda names, by the name of the layer."""
    from s2s_export.keras_files.load import import_objects

    functions = {}
    for given in lambdas:
        layer, _, name = given.rpartition("=")
        if not layer or ":" not in name:
            raise UsageError(f"--lambda: expected LAYER=module:function, got {given!r}")
        [functions[layer]] = import_objects([name], "--lambda").values()
    return functions


def _by_name(states: Sequence[str]) -> dict[str, str]:
    """Return what each --state says, by the name of the input."""
    parts = [state.rpartition("=") for state in states]
    wrong = next((state for state, (name, _, _) in zip(states, parts, strict=True) if not name), None)
    if wrong is not None:
        raise UsageError(f"--state: expected NAME=FIRST:NEXT, got {wrong!r}")
    return {name: numbers for name, _, numbers in parts}


def _vocabulary(model: Path, settings: ExportSettings, pairs: Path | None) -> VocabularyFile | None:
    """Return the vocabularies of a file; None where pairs, or files of one side each, tell them."""
    from s2s_runtime.vocabulary.vocabulary_file import VocabularyFile

    sides = settings.source_vocab is not None or bool(settings.target_vocab)
    if settings.vocab is not None and (sides or pairs is not None):
        raise UsageError("expected one of --vocab, --pairs, and --source-vocab with --target-vocab")
    beside = model.parent / "vocab.json"
    file = settings.vocab
    if file is None and not sides and pairs is None and beside.is_file():
        file = beside
    return None if file is None else VocabularyFile.read(file)


def _options(model: Path, settings: ExportSettings, values: dict[str, Any]) -> ExportOptions:
    """Return the options of the export, after refusing all that can be refused before TensorFlow is imported."""
    from s2s_export.arguments import Words
    from s2s_export.errors import ExportError
    from s2s_export.understand.run_beside import told_by_run
    from s2s_export.understand.vocabularies import pairs_of_file, unescape
    from s2s_export.write import refuse_existing

    if not settings.dry_run:
        refuse_existing(settings.output or model.with_suffix(".s2s"), force=values["force"])
    pairs, expect = values["pairs"], values["expect"]
    values |= {name: unescape(values[name]) for name in ("start_symbol", "end_symbol")}
    options = ExportOptions(**values, vocabulary=_vocabulary(model, settings, pairs))
    if pairs is not None:
        pairs_of_file(pairs, encoding=options.encoding)
    if expect is not None and not expect.is_file():
        raise FileNotFoundError(f"--expect: {expect}: no such file; expected outputs of your own loop")
    if not options.feeds and options.feedback is None and options.ctc is None:
        options = replace(options, **told_by_run(model.parent))
    options = Words(settings.source_vocab, _by_output(settings.target_vocab), unit=options.unit).added_to(options)
    if settings.verify_texts is None:
        return options
    texts = _lines(settings.verify_texts, options.encoding)
    if not texts:
        raise ExportError(
            f"{settings.verify_texts}: no texts to verify with; expected one a line, or leave --verify-with out"
        )
    references: list[str] = []
    if options.precision != "float32":
        texts, references = _pairs(texts)
    return replace(options, verify_with=tuple(text for text in texts if text.strip()), references=tuple(references))


def _by_output(given: Sequence[str]) -> Path | dict[str, Path] | None:
    """Return the file of the target's symbols, or those of several outputs by name; None where none was given."""
    if not given:
        return None
    if len(given) == 1 and ("=" not in given[0] or Path(given[0]).is_file()):
        return Path(given[0])
    files = {}
    for each in given:
        name, _, file = each.partition("=")
        if not file:
            raise UsageError(
                f"--target-vocab: expected NAME=FILE for each output, such as intent=intents.json, got {each!r}"
            )
        files[name] = Path(file)
    return files


def _lines(path: Path, encoding: str | None) -> list[str]:
    from s2s_runtime.files.text_source import open_text

    with open_text(path, encoding) as texts:
        return [line for _, line in texts.lines() if line.strip()]


def _pairs(lines: list[str]) -> tuple[list[str], list[str]]:
    """Return the texts, and what follows the first tab of each, where every line has a tab."""
    parts = [line.split("\t") for line in lines]
    references = [part[1] for part in parts if len(part) > 1]
    return [part[0] for part in parts], references if len(references) == len(parts) else []


def _import_tensorflow() -> None:
    from s2s_training.quiet_import import import_quietly

    # oneDNN brings an allocator that keeps what it once took: a model's weights twice over, of which one is of use.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    import_quietly()


def _write(loading: _Loading, settings: ExportSettings, options: ExportOptions, typed: list[str]) -> None:
    from s2s_export.errors import ExportError

    with stages() as tell:
        tell("loading TensorFlow")
        _import_tensorflow()
        from s2s_export.exporter import export as run
        from s2s_export.report import print_exported, print_settling, to_dict

        tell("loading the model")
        model = loading.load(options)
        exported = None
        try:
            exported = run(model, loading.output, options, progress=tell)
        except ExportError as error:
            refused = error
    if exported is None:
        if not settings.as_json:
            _tell_what_is_missing(model, options, typed, loading.path.parent)
        raise refused
    if settings.as_json:
        typer.echo(json.dumps(to_dict(exported), indent=2))
    else:
        console = result_console()
        print_exported(console, exported, nodes=manners().verbose)
        if exported.manifest.setup is not None:
            print_settling(console, exported.manifest.setup, typed)


def _tell_what_is_missing(model: Any, options: ExportOptions, typed: list[str], folder: Path) -> None:
    """Print what the model shows and what to type next, where nothing else stands against its export."""
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
        _import_tensorflow()
        from s2s_export.exporter import take_apart
        from s2s_export.report import print_first_look, print_understanding
        from s2s_export.understand.first_look import FirstLook

        tell("reading the model")
        model = loading.load(options)
        look = FirstLook.at(lambda tried: take_apart(model, tried), options)
    console = result_console()
    print_understanding(console, *look.parts[1:])
    print_first_look(console, look, options, look.next_command(typed, options, loading.path.parent))


def _arguments(given: Given) -> list[str]:
    """Return what was typed except --dry-run: arguments, and options with their values."""
    arguments = []
    for name, flag in given.typed.items():
        value = given.values[name]
        if name == "dry_run":
            continue
        if name == "model":
            arguments.insert(0, str(value))
        elif isinstance(value, bool):
            arguments.append(flag)
        else:
            arguments += [
                part for item in (value if isinstance(value, tuple) else [value]) for part in (flag, str(item))
            ]
    return arguments


def main() -> None:
    """Run the command."""
    app()

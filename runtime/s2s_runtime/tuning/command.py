"""The command s2s-tune."""

from __future__ import annotations

from typing import Final

from s2s_runtime.commands.command_options import Given, takes
from s2s_runtime.commands.decode_options import LoadOptions, ensemble_problems
from s2s_runtime.console.app import UsageError, command, make_app, typer
from s2s_runtime.declared_options import names_where
from s2s_runtime.options import DecodingOptions
from s2s_runtime.options.terms import BUNDLES
from s2s_runtime.tuning.options import TuneOptions

app = make_app()
_FIXED: Final = names_where(DecodingOptions, group=BUNDLES)

EPILOG = """
**Examples**

`s2s-tune model.s2s dev.tsv --try beam_size=1,2,4,8 --try length_penalty=0:1.5:0.5`

`s2s-tune model.s2s dev.tsv --metric chrf --language-model writer.s2s --try language_model_weight=0:0.5:0.1`

`s2s-tune model.s2s dev.tsv --search random --trials 40 --try beam_size=1:9 --try length_penalty=0:2 -o trials.jsonl`
"""


@command(app, epilog=EPILOG)
@takes(TuneOptions, DecodingOptions, LoadOptions, only={DecodingOptions: _FIXED})
def tune(given: Given) -> None:
    """Find the decoding options that do best on development data.

    Each combination of values decodes the sources and is compared with what is right. Trials come best first, and below
    them the command line to type. Of equal ones the first listed counts: begin with the values that cost least.
    """
    options = TuneOptions(**given.of(TuneOptions))
    loaded = LoadOptions(**given.of(LoadOptions))
    problems = ensemble_problems(loaded, given.typed)
    problems += [] if options.tried else ["--try: expected values of at least one option, such as --try beam_size=1,4"]
    if options.search == "grid":
        random_only = [given.typed[name] for name in ("trials", "seed") if name in given.typed]
        problems += [f"{option}: needs --search random" for option in random_only]
    problems += ["--force: needs --output"] if options.force and options.output is None else []
    if problems:
        raise UsageError("; ".join(problems))
    from s2s_runtime.tuning.tune import run

    typer.echo(run(options, loaded, {name: given.values[name] for name in _FIXED if given.values[name] is not None}))


def main() -> None:
    """Run the command."""
    app()

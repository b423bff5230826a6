"""An option is declared once, as a field of a dataclass; everything else that tells of it is derived from there.

    @declares_options
    @dataclass(frozen=True, kw_only=True)
    class ExportOptions:
        \"\"\"How to export.\"\"\"

        opset: Annotated[int, Option(at_least=15, at_most=18, panel="Files")] = 18
        \"\"\"ONNX operator set. What tf2onnx writes and ONNX's LSTM and GRU need.\"\"\"

        def __post_init__(self) -> None:
            problems = option_problems(self)
            if problems:
                raise ExportError("; ".join(problems))

`option_problems` (`checks`) checks types, bounds, choices and what has no effect without another; checks that look at
several options stand behind it in `__post_init__`. `declares_options` (`docs`) makes `help(ExportOptions)` list each
option with its default and bounds, and an unknown keyword argument name the nearest one; `known_keywords` and
`takes_options` (`keywords`) do so for functions. `given_values` (`declared`) are those that differ from the defaults.

A command takes the options of one or more such classes; what is its own, such as files, is a dataclass too:

    @app.command(epilog=EPILOG)
    @takes(ExportSettings, ExportOptions)
    def export(given: Given) -> None:
        \"\"\"Turn a model into a bundle.\"\"\"
        options = ExportOptions(**given.of(ExportOptions))

`takes` (`s2s_runtime.commands.command_options`, which needs typer) gives it their flags, help, ranges and choices, and
hands on what was typed. With `unset=True` what isn't typed is None, for commands whose defaults come from a file. Where
what is typed isn't what Python takes, `Option(typed=...)` says its type and `Option(reads=...)` names what reads it.

The first sentence of the docstring below a field is the help of the command line. `make tables` writes what has to
stand in files: the pages of the guide, and the `TypedDict` of the decoding options (`tests/docs/write_options.py`); a
test tells when it has to be run again.

Nothing here imports numpy, and types of options must be there without it: `--help` doesn't wait for it. A module that
declares options does without `from __future__ import annotations`: its types are there when they are read, and
signatures show them.
"""

from s2s_runtime.declared_options.checks import option_problems, value_problem, verb_problems
from s2s_runtime.declared_options.declared import (
    DeclaredOption,
    declared,
    differs,
    given_values,
    names_where,
    taken_by,
)
from s2s_runtime.declared_options.docs import declares_options
from s2s_runtime.declared_options.keywords import known_keywords, takes_options, unknown_name
from s2s_runtime.declared_options.option import Need, Option

__all__ = [
    "DeclaredOption",
    "Need",
    "Option",
    "declared",
    "declares_options",
    "differs",
    "given_values",
    "known_keywords",
    "names_where",
    "option_problems",
    "taken_by",
    "takes_options",
    "unknown_name",
    "value_problem",
    "verb_problems",
]

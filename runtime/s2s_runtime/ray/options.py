"""The options of s2s-batch; those of decoding are `s2s_runtime.options`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from s2s_runtime.declared_options import Option, declared, names_where
from s2s_runtime.options import DecodingOptions
from s2s_runtime.options.terms import JSON

_GIVEN: Final = ("prefix", "return_scores", *names_where(DecodingOptions, group=JSON))  # or for other outputs

DECODING: Final = tuple(
    name
    for name, declaration in declared(DecodingOptions).items()
    if declaration.option.typed is not None and name not in _GIVEN
)
"""Names of the decoding options that a batch job takes."""


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """The options of s2s-batch that say what it decodes, where to, and by whom."""

    bundle: Annotated[Path, Option(positional=True, metavar="BUNDLE")]
    """Folder or zip file written by s2s-export."""

    inputs: Annotated[Sequence[Path], Option(positional=True, metavar="INPUT")]
    """Files of rows, or folders of them: .parquet, .csv, .tsv, .jsonl, .txt; all but Parquet also as .gz, .bz2, .xz."""

    output: Annotated[Path, Option(flags=("--output", "-o"), metavar="DIR")]
    """Folder for Parquet files with all columns and `output`, `score` and `error`. What is there already isn't done
    again: a command that was ended goes on where it is given once more."""

    column: Annotated[str | None, Option(metavar="NAME")] = None
    """Column to decode: texts, or lists of ids; default: the only one, such as `text` of a .txt file."""

    encoding: Annotated[str | None, Option(metavar="NAME")] = None
    """Encoding of the files, such as utf-16 or latin-1; default: UTF-8."""

    workers: Annotated[int | None, Option(at_least=1)] = None
    """Processes that decode; default: one for each core, divided by --threads."""

    threads: Annotated[int, Option(at_least=1)] = 1
    """Cores of a process."""

    block_rows: Annotated[int, Option(at_least=1)] = 4096
    """Rows of each file in DIR: what a process takes at a time, and what is lost where it is ended."""

    address: Annotated[str | None, Option(metavar="ADDRESS")] = None
    """Ray cluster to run on, such as auto or ray://head:10001; default: one on this machine, for this command."""

    force: Annotated[bool, Option()] = False
    """Begin anew where DIR holds what another job wrote."""

    as_json: Annotated[bool, Option(flags=["--json"])] = False
    """Print the counts as JSON."""

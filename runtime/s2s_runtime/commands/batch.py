"""The command s2s-batch."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING

from s2s_runtime.commands.command_options import Given, takes
from s2s_runtime.console.app import command, make_app, typer
from s2s_runtime.options import DecodingOptions
from s2s_runtime.ray.options import DECODING, BatchOptions
from s2s_runtime.spelling import counted

if TYPE_CHECKING:
    from s2s_runtime.ray.batch import BatchReport

app = make_app()

EPILOG = """
**Examples**

`s2s-batch model.s2s sentences.txt --output decoded`

`s2s-batch model.s2s part-*.parquet --column title --output decoded --beam-size 4`

`s2s-batch model.s2s rows.jsonl.gz --column text --output decoded --workers 8 --address auto`
"""


@command(app, epilog=EPILOG)
@takes(BatchOptions, DecodingOptions, only={DecodingOptions: DECODING})
def batch(given: Given) -> None:
    """Decode a column of large files by many processes, or machines: Ray carries it.

    Each block of rows becomes a Parquet file, there whole or not at all. Where the command is ended, the same command
    does what is missing. Rows that can't be read have their reason in the column `error`, and the others are decoded.
    """
    from s2s_runtime.bundle.manifest_file import read_manifest
    from s2s_runtime.commands.decode_values import decoding_options
    from s2s_runtime.console.progress import stages
    from s2s_runtime.ray.batch import run_batch

    settings = BatchOptions(**given.of(BatchOptions))
    typed = {name: given.values[name] for name in DECODING}
    options = decoding_options(typed, read_manifest(settings.bundle), scores=True)
    with contextlib.redirect_stdout(sys.stderr), stages() as stage:  # where Ray tells of workers that died
        stage("starting")
        report = run_batch(settings, options, lambda rows: stage(f"{rows:,} rows done"))
    if settings.as_json:
        typer.echo(json.dumps(report.to_dict()))
        return
    typer.echo(in_words(report))
    typer.echo(f"{counted(report.files, 'file', ',')} in {settings.output}")


def in_words(report: BatchReport) -> str:
    """Return what was done, in a line."""
    rate = f"; {report.seconds:.1f} s, {report.rows / report.seconds:,.0f}/s" if report.rows else ""
    there = f", {report.skipped:,} were there" if report.skipped else ""
    unread = f", {report.errors:,} of them couldn't be read" if report.errors else ""
    return f"{counted(report.rows, 'row', ',')} decoded{unread}{there}{rate}"


def main() -> None:
    """Run the command."""
    app()

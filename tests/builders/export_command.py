"""`s2s-export` run in this process, and vocabularies of the sizes that the architectures have."""

from collections.abc import Sequence

from typer.testing import CliRunner

from s2s_export.commands.export import app
from s2s_runtime import Vocabulary

SOURCE = Vocabulary("char", ("<pad>", "<unk>", *"abcdefghijk"), padding="<pad>", unknown="<unk>")
TARGET = Vocabulary("char", ("<pad>", "\t", "\n", *"ABCDEFGH"), padding="<pad>", start="\t", end="\n")


def run(*arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def fails(arguments: Sequence[object], message: str) -> None:
    """The command ends with 1, one line on standard error holds the message, and nothing is written."""
    code, _, errors = run(*arguments)
    assert code == 1
    lines = errors.strip().splitlines()
    assert len(lines) == 1, errors
    assert lines[0].startswith("error: ")
    assert message in lines[0]

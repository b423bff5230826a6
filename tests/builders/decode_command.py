"""The command s2s-decode, run in this process, and bundles and texts for it."""

from places import FIXTURES
from typer.testing import CliRunner, Result

from s2s_runtime.commands import decode as cli

TINY, NUMBERS = str(FIXTURES / "tiny.s2s"), str(FIXTURES / "tiny-probabilities.s2s")
ONEHOT = str(FIXTURES / "tiny-onehot.s2s")
TEXTS = ["abcab", "edc", "aaaaaa", "dcbe"]


def run(*arguments: str, stdin: str | None = None) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(cli.app, list(arguments), input=stdin)

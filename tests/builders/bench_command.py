"""`s2s-bench` run in this process."""

from typer.testing import CliRunner, Result

from s2s_runtime.commands.bench import app


def bench(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(app, list(arguments))

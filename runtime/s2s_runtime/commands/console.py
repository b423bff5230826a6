"""What the commands share: errors as one line with an exit code, options that mean the same everywhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from s2s_runtime.errors import OptionError, S2SError
from s2s_runtime.lazy_modules import Later
from s2s_runtime.ort.sessions import provider_name

if TYPE_CHECKING:
    from s2s_runtime import ensembles, loading
    from s2s_runtime.commands.decode_options import LoadOptions
    from s2s_runtime.model import Model
else:
    ensembles, loading = Later("ensembles"), Later("loading")

try:
    import typer
except ModuleNotFoundError as error:
    # A command can do nothing without it; this module is imported by commands only.
    raise SystemExit("error: typer is not installed: pip install 's2s-runtime[cli]'") from error

__all__ = [
    "UsageError",
    "load_together",
    "make_app",
    "one_line_errors",
    "typed_options",
    "typer",
    "warn",
    "warn_of_fallback",
]

_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells count


class UsageError(OptionError):
    """Options of a command that don't go together: exit code 2."""


def make_app() -> typer.Typer:
    """A typer application that leaves errors to `one_line_errors`."""
    return typer.Typer(
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn what can go wrong for a user into `error: ...` on stderr and exit code 1, or 2 for wrong usage.

    A reader of the output that has gone away (`| head`) is no error worth a message.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains again while leaving
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        warn("error: interrupted; what was written stands")
        raise typer.Exit(_INTERRUPTED) from None
    except (S2SError, OSError) as error:
        warn(f"error: {error}")
        raise typer.Exit(2 if isinstance(error, UsageError) else 1) from None


def warn_of_fallback(asked: Sequence[str] | None, obtained: str) -> None:
    """Say on stderr that another provider decodes than the first asked for; only --allow-fallback gets so far."""
    if asked and provider_name(asked[0]) != obtained:
        warn(f"warning: --provider {asked[0]} was not obtained; {obtained} decodes")


def load_together(bundle: Path, options: LoadOptions, **how: Any) -> Model:
    """One model, or an ensemble of several; `how` they are loaded besides is as `s2s_runtime.load` takes it."""
    how |= {"providers": options.provider, "allow_fallback": options.allow_fallback}
    bundles = [bundle, *options.ensemble_with]
    models = [loading.load(each, intra_op_threads=options.threads, **how) for each in bundles]
    warn_of_fallback(options.provider, models[0].provider)
    return models[0] if len(models) == 1 else ensembles.ensemble(models, mean=options.ensemble_mean)


def typed_options(context: typer.Context) -> dict[str, str]:
    """The options that were typed, defaults left out: parameter name -> the option as `--help` spells it."""
    found = {}
    for parameter in context.command.params:
        source = None if parameter.name is None else context.get_parameter_source(parameter.name)
        if parameter.name is not None and source is not None and source.name == "COMMANDLINE":
            found[parameter.name] = max(parameter.opts, key=len)
    return found


def warn(message: str) -> None:
    """Write one line to stderr."""
    typer.echo(" ".join(message.split()), err=True)

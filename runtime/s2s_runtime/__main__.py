"""`python -m s2s_runtime COMMAND ...` is `s2s-COMMAND ...`, for machines where the commands aren't on the path."""

from __future__ import annotations

import sys
from typing import Final

import s2s_runtime
from s2s_runtime.console.start import COMMANDS as ALL
from s2s_runtime.console.start import run

COMMANDS: Final = [name for name, module in ALL.items() if module.startswith(f"{s2s_runtime.__name__}.")]


def main() -> None:
    """Run the command that the first argument names, or list all commands."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in COMMANDS:
        del sys.argv[1]
        run(name, prog_name=f"python -m s2s_runtime {name}")
    elif name in ("", "-h", "--help"):
        sys.stdout.write(f"Usage: python -m s2s_runtime {{{'|'.join(COMMANDS)}}} ...\n\n")
        sys.stdout.write("The same as s2s-decode, s2s-bench and so on; add --help for the options of each.\n")
    elif name == "--version":
        sys.stdout.write(f"s2s_runtime {s2s_runtime.__version__}\n")
    else:
        sys.stderr.write(f"error: expected one of {', '.join(COMMANDS)}, got {name!r}\n")
        raise SystemExit(2)


main()

"""Telling that Ctrl-C ended a command, whichever error it comes out as."""

from __future__ import annotations

from typing import Final

INTERRUPTED: Final = 130  # 128 + SIGINT, as shells count


def is_interrupt(error: BaseException | None) -> bool:
    """Return whether Ctrl-C caused an error: pressed during an import, it may be raised as the module's own error."""
    seen: set[int] = set()  # an error that is raised again from its own handler may lead back to itself
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt):
            return True
        seen.add(id(error))
        error = error.__cause__ if error.__suppress_context__ else error.__context__
    return False

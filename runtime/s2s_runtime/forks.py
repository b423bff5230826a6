"""What has to be made anew in a forked child, where no thread but the one that forked goes on."""

from __future__ import annotations

import os
from functools import cache
from typing import Protocol
from weakref import WeakValueDictionary


class Forked(Protocol):
    """Something that a forked child can't go on with as it is."""

    def after_fork(self) -> None:
        """Make it fit for use in the child. Called there before anything else runs; must not wait for a lock."""
        ...


_watched: WeakValueDictionary[int, Forked] = WeakValueDictionary()


def watch_forks(thing: Forked) -> None:
    """Call `after_fork` in every child that is forked while the thing lives."""
    _register()
    _watched[id(thing)] = thing


@cache
def _register() -> None:
    if hasattr(os, "register_at_fork"):  # Windows has no fork
        os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    for thing in list(_watched.values()):
        thing.after_fork()

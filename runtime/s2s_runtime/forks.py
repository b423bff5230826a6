"""What has to be made anew in a forked child, where no thread but the one that forked goes on."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from typing import Protocol
from weakref import WeakValueDictionary


class Forked(Protocol):
    """Something that a forked child can't go on with as it is."""

    def after_fork(self) -> None:
        """Make it fit for use in the child. Called there before anything else runs; must not wait for a lock."""
        ...


_watched: WeakValueDictionary[int, Forked] = WeakValueDictionary()
_left_alone: WeakValueDictionary[int, object] = WeakValueDictionary()


_forked_alone = False


def forked_alone() -> bool:
    """Return whether this process was forked by the only thread of its parent: then no call was under way there."""
    return _forked_alone


def watch_forks(thing: Forked) -> None:
    """Call `after_fork` in every child that is forked while the thing lives."""
    _register()
    _watched[id(thing)] = thing


def leave_alone(thing: object) -> None:
    """Never free the thing in a child that is forked while it lives: its end would wait for threads that aren't there.

    This holds for whatever nobody refers to but a cycle that the garbage collector hasn't found yet, too: the child's
    would find it. A traceback makes such cycles, so a thing is named here as soon as it is made or given.
    """
    _register()
    _left_alone[id(thing)] = thing


@cache
def _register() -> None:
    if hasattr(os, "register_at_fork"):  # Windows has no fork
        os.register_at_fork(before=_before_fork, after_in_child=_after_fork)


def _before_fork() -> None:
    global _forked_alone  # noqa: PLW0603 - the child finds it as it was when the parent forked
    _forked_alone = len(sys._current_frames()) == 1


def _after_fork() -> None:
    for kept in list(_left_alone.values()):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
    for thing in list(_watched.values()):
        thing.after_fork()

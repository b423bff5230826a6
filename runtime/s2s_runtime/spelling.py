"""Spelling the names of options in messages: as the caller writes them, in Python or on a command line.

>>> option("source_length", "16")
'source_length=16'
>>> with as_flags():
...     option("source_length", "16")
'--source-length 16'
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_FLAGS: ContextVar[bool] = ContextVar("flags", default=False)
# Parameters of the commands whose Python argument has another name.
_IN_PYTHON: Final = {
    "start_id": "start",
    "end_id": "end",
    "source_vocab": "source",
    "target_vocab": "target",
    "vocab": "vocabulary",
    "one_hot_input": "one_hot_inputs",
    "state": "states",
}


def option(name: str, value: str | None = None) -> str:
    """Spell an option as the caller of the running function does.

    Args:
        name: of the command's parameter, such as "source_length".
        value: what to write behind it; None = only its name; "" = a switch that is on.
    """
    if _FLAGS.get():
        flag = f"--{name.replace('_', '-')}"
        return f"{flag} {value}" if value else flag
    argument = _IN_PYTHON.get(name, name)
    return argument if value is None else f"{argument}={value or 'True'}"


def option_each(name: str, values: Iterable[str]) -> str:
    """Spell an option that is given several values.

    >>> option_each("end", ["a", "b"])
    "end=['a', 'b']"
    >>> with as_flags():
    ...     option_each("end", ["a", "b"])
    '--end a --end b'
    """
    if _FLAGS.get():
        return " ".join(option(name, value) for value in values)
    return f"{option(name)}={list(values)}"


def option_by_name(name: str, values: Mapping[str, str]) -> str:
    """Spell an option that says something of each of several things, by their names.

    >>> option_by_name("state", {"h": "1:1", "c": "0:2"})
    "states={'h': '1:1', 'c': '0:2'}"
    >>> with as_flags():
    ...     option_by_name("state", {"h": "1:1", "c": "0:2"})
    '--state h=1:1 --state c=0:2'
    """
    if _FLAGS.get():
        return " ".join(option(name, f"{key}={value}") for key, value in values.items())
    return f"{option(name)}={dict(values)}"


@contextmanager
def as_flags() -> Iterator[None]:
    """Spell options as a command line does while the block runs."""
    before = _FLAGS.set(True)
    try:
        yield
    finally:
        _FLAGS.reset(before)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return the end of a message that asks whether the nearest known name was meant; "" where none is near.

    >>> did_you_mean("beamsize", ["beam_size", "max_length"])
    "; did you mean 'beam_size'?"
    """
    if not isinstance(name, str):
        return ""
    difflib = importlib.import_module("difflib")  # here: a cold start without a mistake doesn't wait for it
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def counted(number: int, noun: str, form: str = "") -> str:
    """Return a number of things in words, written in a form of Python's, such as ",".

    >>> counted(1, "row"), counted(3000, "row", ",")
    ('1 row', '3,000 rows')
    """
    return f"{number:{form}} {noun}{'' if number == 1 else 's'}"


def shown(value: object, limit: int = 100) -> str:
    """Return a value as a message shows it: its `repr`, on one line and not endless, or its type where it has none."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # whatever a stranger's repr raises, over what is wrong already
        text = f"a {type(value).__name__}"
    return text if len(text) <= limit else f"{text[: limit - 3]}..."

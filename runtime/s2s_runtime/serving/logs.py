"""Log lines of a server, as text or JSON, one for each event; no text of a request ever stands in them."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from s2s_runtime.lazy_modules import logger_of
from s2s_runtime.serving.options import LogFormat

LOGGER = logger_of("s2s_runtime.serving")
_SHOWN = (LOGGER, logging.getLogger("uvicorn.error"))


class LineFormatter(logging.Formatter):
    """A formatter of records whose `fields` are what there is to tell.

    Args:
        kind: "text" or "json".
    """

    def __init__(self, kind: LogFormat) -> None:
        super().__init__()
        self._kind = kind

    def format(self, record: logging.LogRecord) -> str:
        """Return one line; `exception` holds the traceback of one that nobody expected."""
        fields = dict(getattr(record, "fields", {}))
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z"
        level, event = record.levelname.lower(), record.getMessage()
        if self._kind == "json":
            return json.dumps({"time": at, "level": level, "event": event, **fields}, ensure_ascii=False)
        return " ".join([at, level, event, *(f"{name}={_word(value)}" for name, value in fields.items())])


@contextmanager
def logging_to_stderr(kind: LogFormat) -> Iterator[None]:
    """Write what the server and uvicorn log to standard error while the block runs."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(kind))
    before = [(logger, logger.level, logger.propagate) for logger in _SHOWN]
    for logger in _SHOWN:
        logger.addHandler(handler)
        logger.propagate = False
        logger.setLevel(logging.INFO if logger is LOGGER else logging.WARNING)
    try:
        yield
    finally:
        for logger, level, propagate in before:
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate


def _word(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if text == "" or any(c in text for c in ' "\n') else text

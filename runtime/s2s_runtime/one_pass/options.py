"""What options of search mean where positions are independent."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from s2s_runtime.declared_options.checks import is_integer
from s2s_runtime.lazy_modules import logger_of

logger = logger_of(__name__)
_SEARCHED: Final = ("stochastic_beams", "beam_groups", "language_model")  # for which a beam is searched all the same


def for_positions(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return options as a model of one pass takes them: a beam as large as there are hypotheses, whatever was asked.

    Args:
        given: values by the names of `DecodingOptions`, not checked yet.
    """
    if "beam_size" not in given and "num_hypotheses" not in given:
        return given
    beam, wanted = given.get("beam_size", 1), given.get("num_hypotheses", 1)
    if not is_integer(beam) or not is_integer(wanted):
        return given
    if beam > 1 and not any(given.get(name) for name in _SEARCHED):
        say_once(
            "beam_size: has no effect on a model of one pass: its positions are independent, and its best sequences "
            "are exact"
        )
    return {**given, "beam_size": wanted} if 1 <= beam < wanted else given


@cache
def say_once(words: str) -> None:
    """Tell something, once a process."""
    logger.warning("%s", words)

"""Errors of building, training and splitting."""

import re
from typing import Final

from s2s_runtime.errors import S2SError

IN_A_LAYER: Final = re.compile(
    r"Exception encountered when calling (?P<kind>\w+)\.call\(\)\.\s*\x1b\[1m(?P<said>.*?)\x1b\[0m", re.S
)
"""What Keras says when a layer's call fails: the layer's kind, and the reason in bold."""


class SplitError(S2SError, ValueError):
    """The model can't be split into an encoder and a single-step decoder; the message names the layer and says why."""


class UnsaidError(SplitError):
    """The model is understood, and something has to be said, or said otherwise; the message tells the option."""


class ConfigError(S2SError, ValueError):
    """Training options are out of range or contradict each other; the message names every one."""


class DataError(S2SError, ValueError):
    """The training data can't be read or used; the message names the file and the line."""


class DataNotFoundError(S2SError, FileNotFoundError):
    """There is no such file, and no such built-in data set."""


class RunFolderError(S2SError, FileExistsError):
    """The run folder can't be used: it exists already, or isn't one that can be resumed or replaced."""


class RunsError(S2SError, RuntimeError):
    """Some of the runs that were trained side by side failed; the message says which, and what each said last."""


class DivergenceError(S2SError, ArithmeticError):
    """Training came to a loss that is not a finite number; the message names the epoch and what to try."""


class BackendError(S2SError, RuntimeError):
    """Keras runs on another backend than TensorFlow in this program; the message says what to set."""

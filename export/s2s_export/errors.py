"""Errors of exporting, and the advice that many of them end with."""

from typing import Final

from s2s_runtime.errors import S2SError

IN_CODE: Final = "--weights FILE --model-fn module:function"
"""The options by which the weights of a file go into a model that a function builds."""

BUILD_IN_CODE: Final = f"build the model in code and give its weights: {IN_CODE}"
"""What to do where a file's own description of its model is of no use."""


class ExportError(S2SError, ValueError):
    """A model, vocabulary or option can't be exported as it is; the message says what to do."""


class ModelFileError(ExportError):
    """A file is missing, holds no Keras model, or can't be loaded unless more is said."""


class VerificationError(ExportError):
    """The exported graphs don't give what Keras gives; nothing was written."""

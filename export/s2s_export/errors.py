"""Errors of exporting."""

from s2s_runtime.errors import S2SError


class ExportError(S2SError, ValueError):
    """A model, vocabulary or option can't be exported as it is; the message says what to do."""


class ModelFileError(ExportError):
    """A file is missing, holds no Keras model, or can't be loaded unless more is said."""


class VerificationError(ExportError):
    """The exported graphs don't give what Keras gives; nothing was written."""

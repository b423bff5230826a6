"""Errors of exporting."""

from s2s_runtime.errors import S2SError


class ExportError(S2SError, ValueError):
    """A model, vocabulary or option that can't be exported as it is; the message says what to do."""


class ModelFileError(ExportError):
    """A file that is missing, no Keras model, or can't be loaded without more being said."""


class VerificationError(ExportError):
    """The exported graphs don't give what Keras gives; nothing was written."""

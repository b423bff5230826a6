"""Errors of building, training and splitting."""

from s2s_runtime.errors import S2SError


class SplitError(S2SError, ValueError):
    """A model that can't be split into an encoder and a single-step decoder; the message names the layer and why."""

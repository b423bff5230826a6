"""The moving average of the weights: what is validated and saved, while the optimizer goes on with the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import keras

from s2s_training.config.fit import FitConfig


class Averaging(keras.callbacks.SwapEMAWeights):
    """Puts the averaged weights in place for every validation; `applied` does so at any other time.

    The average itself is kept by the optimizer (Polyak and Juditsky 1992), and saved with its state.
    """

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the model its averaged weights while the block runs."""
        self.on_test_begin()
        try:
            yield
        finally:
            self.on_test_end()


def averaged(averaging: Averaging | None) -> AbstractContextManager[None]:
    """Return the context in which a model has the weights that are validated and saved."""
    return nullcontext() if averaging is None else averaging.applied()


def make_averaging(config: FitConfig) -> Averaging | None:
    """Return the averaging that a configuration asks for, or None."""
    return Averaging() if config.average else None

"""A layer whose output doesn't depend on its input: the first row that a decoder reads."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from s2s_training.layers.cells import PACKAGE


@keras.saving.register_keras_serializable(package=PACKAGE)
class ConstantRow(keras.layers.Layer):
    """Gives the same row for every row of the input: zeros, or a one at one position.

    Args:
        size: features of the row.
        hot: where the one stands; None = nowhere.
    """

    def __init__(self, size: int, hot: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size, self.hot = size, hot

    def call(self, x: Any) -> Any:
        """Return the row for each of the rows of `x`: (batch, ...) to (batch, size) of the compute dtype."""
        row = [[float(i == self.hot) for i in range(self.size)]]
        return ops.repeat(ops.convert_to_tensor(row, dtype=self.compute_dtype), ops.shape(x)[0], axis=0)

    def compute_mask(self, x: Any, mask: Any = None) -> None:
        """Return None: the output has no masked steps, whatever the input masks."""

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        """Return the spec of (batch, size)."""
        return keras.KerasTensor((x.shape[0], self.size), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "size": self.size, "hot": self.hot}

"""Short names of the array types that search computes with, and room for more in such arrays."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
_Number = TypeVar("_Number", np.float32, np.int64)


def doubled(array: NDArray[_Number]) -> NDArray[_Number]:
    """Return the array with room for twice as many steps in its second axis."""
    return np.concatenate([array, np.zeros_like(array)], axis=1)

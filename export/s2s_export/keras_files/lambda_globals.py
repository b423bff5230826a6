"""The names that the code of trusted Lambda layers finds: a file keeps their code, and not what stood around it."""

from __future__ import annotations

from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from keras.src.legacy import backend  # what `K` was in Keras 2; `keras.backend` has little of it left
from keras.src.utils import python_utils  # its names are the globals of code that Keras unpacks

_USUAL: Final[dict[str, Any]] = {
    "K": backend,
    "backend": backend,
    "keras": keras,
    "layers": keras.layers,
    "np": np,
    "numpy": np,
    "ops": keras.ops,
    "tensorflow": tf,
    "tf": tf,
}


def provide_globals() -> None:
    """Let code of Lambda layers find the modules that scripts import, by the names that they give them.

    They stay: the code looks them up whenever its layer is called.
    """
    known = vars(python_utils)
    for name, module in _USUAL.items():
        known.setdefault(name, module)

"""Builds every architecture with weights that make its outputs vary, and saves it.

`python save_architectures.py FOLDER`
"""

import gc
import sys
from pathlib import Path

import keras
from architectures import ARCHITECTURES
from random_weights import randomise

if __name__ == "__main__":
    gc.freeze()  # walking through TensorFlow at each collection took a third of the time
    for name, build in ARCHITECTURES.items():
        keras.utils.clear_session()
        model = build()
        model.name = name
        randomise(model)
        model.save(Path(sys.argv[1]) / f"{name}.keras")

"""Build, train and split recurrent encoder-decoders in Keras."""

import logging
import os
import sys

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent, unless the application listens

if "keras" not in sys.modules:  # a person's keras.json, or environment, may name another backend
    os.environ["KERAS_BACKEND"] = "tensorflow"

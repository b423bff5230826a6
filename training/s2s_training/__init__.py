"""Build, train and split recurrent encoder-decoders in Keras."""

import logging

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent, unless the application listens

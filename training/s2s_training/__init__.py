"""Build, train and split recurrent encoder-decoders in Keras."""

__version__ = "0.1.0"

"""Turn Keras encoder-decoders into verified ONNX bundles."""

__version__ = "0.1.0"

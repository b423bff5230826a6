"""Decode recurrent sequence-to-sequence models with numpy and onnxruntime."""

__version__ = "0.1.0"

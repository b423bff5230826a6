"""onnxruntime: sessions, and the step model over a bundle's graphs."""

"""The bundle against Keras."""

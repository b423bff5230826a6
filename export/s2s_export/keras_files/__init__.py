"""Loading saved models, those of Keras 2 too."""

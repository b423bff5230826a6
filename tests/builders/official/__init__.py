"""The sequence examples of the official pages of Keras and of TensorFlow, each small and in words of its own.

What is kept of each is its wiring, how it is fed, and how its page decodes, which is the oracle. Random weights stand
in for training.
"""

from official import keras_signals, keras_text, tensorflow_tutorials

SERIES = {
    "Keras": (*keras_text.EXAMPLES, *keras_signals.EXAMPLES),
    "TensorFlow": tensorflow_tutorials.EXAMPLES,
}

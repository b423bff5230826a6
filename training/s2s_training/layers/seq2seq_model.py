"""The model that the constructors of `s2s_training.seq2seq` return."""

from __future__ import annotations

from typing import Any

import keras

from s2s_training.layers.cells import PACKAGE


@keras.saving.register_keras_serializable(package=PACKAGE)
class Seq2SeqModel(keras.Model):
    """A Functional model from one sequence to another, whose length does not depend on the first.

    As a layer of a larger model it takes a masked input, whose mask ends inside: it says nothing of the output's steps.
    """

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """Return None: every step of the output is real."""

"""The layers of a Transformer that several of the examples write for themselves, in words of this project's own."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

WIDTH = 6


@keras.saving.register_keras_serializable(package="official")
class PlacedWords(layers.Layer):
    """Embeds words, and adds an embedding of their places; zeros are masked."""

    def __init__(self, words: int, places: int, **kwargs: Any) -> None:
        """Make both tables."""
        super().__init__(**kwargs)
        self.words, self.places = words, places
        self.by_word, self.by_place = layers.Embedding(words, WIDTH), layers.Embedding(places, WIDTH)

    def build(self, shape: Any) -> None:
        """Build both tables."""
        self.by_word.build(shape)
        self.by_place.build((None,))

    def call(self, words: Any) -> Any:
        """Return (batch, time, width)."""
        return self.by_word(words) + self.by_place(ops.arange(ops.shape(words)[-1]))

    def compute_mask(self, words: Any, mask: Any = None) -> Any:
        """Return where there are words."""
        return ops.not_equal(words, 0)

    def get_config(self) -> dict[str, Any]:
        """Return what makes the layer again."""
        return {**super().get_config(), "words": self.words, "places": self.places}


@keras.saving.register_keras_serializable(package="official")
class LooksAtItself(layers.Layer):
    """Attention over the sequence itself, then two dense layers, each with a sum and a norm behind."""

    def __init__(self, causal: bool = False, masked: bool = True, **kwargs: Any) -> None:
        """Make the layers; `masked` says whether what is masked isn't looked at."""
        super().__init__(**kwargs)
        self.causal, self.masked, self.supports_masking = causal, masked, True
        self.attention = layers.MultiHeadAttention(2, WIDTH // 2)
        self.dense = keras.Sequential([layers.Dense(8, activation="relu"), layers.Dense(WIDTH)])
        self.norms = layers.LayerNormalization(), layers.LayerNormalization()

    def build(self, shape: Any) -> None:
        """Build the layers."""
        self.attention.build(shape, shape)
        self.dense.build(shape)
        for norm in self.norms:
            norm.build(shape)

    def call(self, x: Any, mask: Any = None) -> Any:
        """Return (batch, time, width)."""
        shown = ops.cast(mask[:, None, :], "int32") if self.masked and mask is not None else None
        looked = self.attention(query=x, value=x, key=x, attention_mask=shown, use_causal_mask=self.causal)
        x = self.norms[0](x + looked)
        return self.norms[1](x + self.dense(x))

    def get_config(self) -> dict[str, Any]:
        """Return what makes the layer again."""
        return {**super().get_config(), "causal": self.causal, "masked": self.masked}


@keras.saving.register_keras_serializable(package="official")
class LooksAtBoth(layers.Layer):
    """Causal attention over what is written, attention over what was read, and two dense layers."""

    def __init__(self, **kwargs: Any) -> None:
        """Make the layers."""
        super().__init__(**kwargs)
        self.supports_masking = True
        self.itself, self.source = layers.MultiHeadAttention(2, 3), layers.MultiHeadAttention(2, 3)
        self.dense = keras.Sequential([layers.Dense(8, activation="relu"), layers.Dense(WIDTH)])
        self.norms = layers.LayerNormalization(), layers.LayerNormalization(), layers.LayerNormalization()

    def build(self, shapes: Any) -> None:
        """Build the layers."""
        written, read = shapes
        self.itself.build(written, written)
        self.source.build(written, read)
        for layer in (self.dense, *self.norms):
            layer.build(written)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Return (batch, time, width) of what is written and what was read; the mask is one of either side."""
        written, read = inputs
        shown, readable = (None, None) if mask is None else mask
        looked = self.itself(query=written, value=written, key=written, use_causal_mask=True, query_mask=shown)
        written = self.norms[0](written + looked)
        looked = self.source(query=written, value=read, key=read, query_mask=shown, key_mask=readable)
        written = self.norms[1](written + looked)
        return self.norms[2](written + self.dense(written))

    def compute_output_shape(self, shapes: Any) -> Any:
        """Return the shape of what is written."""
        return shapes[0]

"""The encoder-decoder of values, as published for predicting the cosine from the sine."""

from __future__ import annotations

import keras
from keras import layers


def continuous_encoder_decoder(
    units: int = 75, *, source_features: int = 1, target_features: int = 1, length: int | None = 24
) -> keras.Model:
    """Return an LSTM encoder and an LSTM decoder started from its states, with linear output.

    The architecture is that of Sutskever et al. (2014), on measurements instead of tokens. It is trained with teacher
    forcing: the decoder input is the target one step earlier, beginning with zeros; decoding feeds each predicted value
    back. With the defaults it has the published 46,276 parameters.

    Args:
        units: of both LSTM layers.
        source_features: features of a source step.
        target_features: features of a target step.
        length: steps of source and target; None = any.

    Returns:
        A model from `source` (batch, length, source features) and `target` (batch, length, target features), float32,
        to (batch, length, target features).

    Raises:
        ValueError: a size below 1.
    """
    sizes = {"units": units, "source_features": source_features, "target_features": target_features}
    for name, size in (sizes if length is None else sizes | {"length": length}).items():
        if size < 1:
            raise ValueError(f"{name}: expected at least 1, got {size}")
    source = keras.Input((length, source_features), name="source")
    target = keras.Input((length, target_features), name="target")
    _, *states = layers.LSTM(units, return_state=True, name="encoder")(source)
    output = layers.LSTM(units, return_sequences=True, name="decoder")(target, initial_state=states)
    return keras.Model([source, target], layers.Dense(target_features, name="values")(output), name="continuous")

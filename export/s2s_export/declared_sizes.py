"""What a configuration asks for is found before any of it is made: Keras would take all memory for it, or hours."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from typing import Any, Final

import keras

from s2s_export.errors import ModelFileError

_SMALL: Final = 1000  # numbers up to here ask for nothing that takes long
_NO_SIZES: Final = ("seed", "salt", "vocabulary", "mask_value", "build_config", "compile_config")
_MOST_OF_A_ROW: Final = 1 << 28  # numbers that a layer may give for one row
_NUMBER: Final = 4  # bytes of one
_EXPECTED: Final = "expected the sizes that its weights were saved with; get the file from where you trust it"

# What a layer has one weight for at least: by products of these.
_FACTORS: Final = (("units",), ("input_dim", "output_dim"), ("filters", "kernel_size"), ("num_heads", "key_dim"))


def check_declared_sizes(
    config: dict[str, Any], build: Callable[[dict[str, Any]], keras.Model], most: int, name: str
) -> None:
    """Check how large the weights and outputs of a model are, by building it without memory for its weights.

    Args:
        config: the configuration of the model.
        build: makes the model of a configuration, without the values of its weights.
        most: bytes that the weights may take.
        name: of the file, for messages.

    Raises:
        ModelFileError: the weights would take more, or one row of what a layer gives, a gigabyte.
    """
    if max(_sizes(config), default=0) <= _SMALL:
        return
    least = max(map(_least, _layers(config)), default=0)
    if least > most:
        raise ModelFileError(
            f"{name}: a layer's configuration asks for {least:,} bytes of weights at least; {_EXPECTED}"
        )
    model = None
    with suppress(Exception), keras.StatelessScope():  # what fails here fails again in loading, and is told then
        model = build(deepcopy(config))  # Keras alters what it reads
    if model is None:
        return
    for layer in model._flatten_layers(include_self=False):
        largest = max((math.prod(filter(None, tensor.shape)) for tensor in _outputs(layer)), default=0)
        if largest > _MOST_OF_A_ROW:
            raise ModelFileError(
                f'{name}: layer "{layer.name}" would give {largest:,} numbers for one row; {_EXPECTED}'
            )
    asked = {weight.path: math.prod(weight.shape) * _NUMBER for weight in model.weights}
    if sum(asked.values()) > most:
        path = max(asked, key=lambda path: asked[path])
        raise ModelFileError(
            f"{name}: its configuration asks for {sum(asked.values()):,} bytes of weights, {asked[path]:,} of them for "
            f"{path}; {_EXPECTED}"
        )


def _outputs(layer: keras.Layer) -> list[Any]:
    return [tensor for node in layer._inbound_nodes for tensor in node.output_tensors]


def _least(layer: dict[str, Any]) -> int:
    """Return how many bytes the weights of a layer take at least, by its own configuration."""
    products = (math.prod(_size(layer.get(name)) for name in names) for names in _FACTORS)
    gates = 3 if "recurrent_activation" in layer else 1 if "recurrent_initializer" in layer else 0
    return max(gates * _size(layer.get("units")) ** 2, *products) * _NUMBER


def _size(value: Any) -> int:
    """Return a size, or the product of several; 1 where it is none, which Keras will say."""
    if isinstance(value, list):
        return math.prod(map(_size, value))
    return value if isinstance(value, int) and value > 0 else 1


def _layers(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in a configuration."""
    pending = [config]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            yield item
            pending += [value for key, value in item.items() if key not in _NO_SIZES]
        elif isinstance(item, list):
            pending += item


def _sizes(config: Any) -> Iterator[int]:
    """Yield the whole numbers of a configuration that may be sizes."""
    for item in _layers(config):
        pending = [value for key, value in item.items() if key not in _NO_SIZES]
        while pending:
            value = pending.pop()
            if isinstance(value, list):
                pending += value
            elif isinstance(value, int):
                yield abs(value)

"""Models that read text: `TextVectorization` or `StringLookup` in front.

ONNX graphs here read ids, so the text layer is taken off and the model goes on from the ids it makes; the layer's
vocabulary becomes the bundle's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from s2s_export.errors import ExportError
from s2s_runtime.padding import PaddingPolicy
from s2s_runtime.vocabulary import Unit, Vocabulary, VocabularyFile
from s2s_training.splitting.graph import Call, Graph, Value, flatten_model, replay

_TEXT_LAYERS = (keras.layers.TextVectorization, keras.layers.StringLookup)
_PADDING = "<pad>"


@dataclasses.dataclass(frozen=True)
class TextModel:
    """A model without its text layers.

    Attributes:
        model: from ids.
        vocabularies: of the text layer that stood before each input, by the input's name.
        notes: what of the layers' reading of text a bundle can't keep, a sentence each.
    """

    model: keras.Model
    vocabularies: dict[str, Vocabulary]
    notes: tuple[str, ...]

    def merged(self, given: VocabularyFile | None, name: str, target: str | None) -> VocabularyFile | None:
        """The vocabularies given, with those of text layers where none is given.

        Args:
            given: what the caller knows.
            name: of the source input that gets the text.
            target: name of the decoder input.
        """
        source = self.vocabularies.get(name)
        other = self.vocabularies.get(target) if target is not None else None
        if source is None and other is None:
            return given
        if given is None:
            # Nothing is said of padding here; whether the model masks it is found out by running it.
            return VocabularyFile(source, other, PaddingPolicy(masked=False))
        return dataclasses.replace(given, source=given.source or source, target=given.target or other)


def without_text_layers(model: keras.Model) -> TextModel:
    """Takes text layers off the front of a model; one that has none is returned as it is.

    Raises:
        ExportError: a text layer gives something other than one id per token.
    """
    if not any(isinstance(layer, _TEXT_LAYERS) for layer in model._flatten_layers()):
        return TextModel(model, {}, ())
    graph = flatten_model(model)
    fronts = {call.outputs[0]: call for call in graph.calls if isinstance(call.operation, _TEXT_LAYERS)}
    read = {value: made for made, call in fronts.items() for value in call.inputs}
    inputs = [read.get(value, value) for value in graph.inputs]
    kept = _from_ids(graph, inputs)
    environment = {value: _input(value, graph_input) for value, graph_input in zip(inputs, graph.inputs, strict=True)}
    replay(kept, environment)
    rebuilt = keras.Model([environment[v] for v in inputs], [environment[v] for v in graph.outputs], name=model.name)
    found = {value.name: fronts[read[value]].operation for value in graph.inputs if value in read}
    notes = tuple(note for layer in found.values() for note in _notes(layer))
    return TextModel(rebuilt, {name: _vocabulary(layer) for name, layer in found.items()}, notes)


def _from_ids(graph: Graph, inputs: Sequence[Value]) -> list[Call]:
    """The calls that come after the inputs."""
    known = set(inputs)
    kept = []
    for call in graph.calls:
        if call.inputs and not known.intersection(call.outputs) and all(value in known for value in call.inputs):
            known.update(call.outputs)
            kept.append(call)
    missing = [value for value in graph.outputs if value not in known]
    if missing:
        raise ExportError(
            "the model works on its text before TextVectorization or StringLookup reads it; ONNX graphs read ids: "
            "save the part behind those layers as a model of its own, and give the words with --vocab FILE"
        )
    return kept


def _input(value: Value, original: Value) -> Any:
    shape = value.shape[1:]
    return keras.Input((None,) if len(shape) != 1 else shape, dtype=value.dtype, name=original.name)


def _vocabulary(layer: Any) -> Vocabulary:
    """The layer's vocabulary; where an empty string pads, as in every `TextVectorization`, it gets a name."""
    name = f'layer "{layer.name}" ({type(layer).__name__})'
    lookup = getattr(layer, "_lookup_layer", layer)
    if lookup.output_mode != "int":
        raise ExportError(f"{name} has output_mode={lookup.output_mode!r}; expected 'int', one id per token")
    if lookup.num_oov_indices > 1 or getattr(layer, "_ngrams", None) is not None:
        raise ExportError(f"{name} makes n-grams or several unknown ids; a bundle's vocabulary has one id per symbol")
    symbols = [str(symbol) for symbol in layer.get_vocabulary()]
    padding = lookup.mask_token
    if padding == "":
        padding = _PADDING
        while padding in symbols:  # an ordinary word of this vocabulary
            padding = f"<{padding}>"
        symbols[0] = padding
    unknown = lookup.oov_token if lookup.num_oov_indices else None
    unit, lowercase = _reading(layer)
    return Vocabulary(unit, tuple(symbols), padding=padding, unknown=unknown, lowercase=lowercase)


def _reading(layer: Any) -> tuple[Unit, bool]:
    """How a layer cuts text, and whether it lowercases it."""
    if isinstance(layer, keras.layers.StringLookup):
        return "symbol", False
    return "char" if layer._split == "character" else "symbol", str(layer._standardize).startswith("lower")


def _notes(layer: Any) -> list[str]:
    standardize = getattr(layer, "_standardize", None)
    if standardize in (None, "lower"):
        return []
    what = "strips punctuation" if standardize == "lower_and_strip_punctuation" else f"runs {standardize!r}"
    return [f"the text layer {layer.name!r} {what}, which a bundle doesn't: do so to texts before decoding them"]

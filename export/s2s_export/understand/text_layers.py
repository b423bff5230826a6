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
from s2s_export.understand.text_reading import compared, refuse_other_than_ids, vocabulary_of
from s2s_runtime.spelling import option
from s2s_runtime.vocabulary.padding import PaddingPolicy
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary, VocabularyFile
from s2s_training.splitting.graph import Call, Graph, Value, flatten_model, replay

_TEXT_LAYERS = (keras.layers.TextVectorization, keras.layers.StringLookup)


@dataclasses.dataclass(frozen=True)
class TextModel:
    """A model without its text layers.

    Attributes:
        model: from ids.
        layers: the text layer that stood before each input, by the input's name.
    """

    model: keras.Model
    layers: dict[str, Any]

    def merged(
        self, given: VocabularyFile | None, source: str, target: str | None, texts: Sequence[str] = ()
    ) -> tuple[VocabularyFile | None, list[str]]:
        """Return the vocabularies given, with those of text layers where none is given.

        Args:
            given: what the caller knows.
            source: name of the source input that gets the text.
            target: name of the decoder input.
            texts: sources to compare a layer's reading with its vocabulary's on, beside its own words.

        Returns:
            The vocabularies, and what of the layers' reading a bundle can't keep, a sentence each.

        Raises:
            ExportError: a layer whose vocabulary is needed reads text as no vocabulary does.
        """
        notes: list[str] = []
        side = None if given is None else given.source
        if side is None:
            side = self._vocabulary(source, texts, notes)
        other = None if given is None else given.target
        if other is None and target is not None:
            other = self._vocabulary(target, (), notes)
        if given is not None:
            return dataclasses.replace(given, source=side, target=other), notes
        # Nothing is said of padding here; whether the model masks it is found out by running it.
        known = side is not None or other is not None
        return VocabularyFile(side, other, PaddingPolicy(masked=False)) if known else None, notes

    def _vocabulary(self, name: str, texts: Sequence[str], notes: list[str]) -> Vocabulary | None:
        layer = self.layers.get(name)
        if layer is None:
            return None
        vocabulary = vocabulary_of(layer)
        notes += compared(layer, vocabulary, texts)
        return vocabulary


def without_text_layers(model: keras.Model) -> TextModel:
    """Take the text layers off the front of a model; return a model that has none as it is.

    Raises:
        ExportError: a text layer gives something other than one id per token, or doesn't stand in front.
    """
    if not any(isinstance(layer, _TEXT_LAYERS) for layer in model._flatten_layers()):
        return TextModel(model, {})
    graph = flatten_model(model)
    fronts = {call.outputs[0]: call for call in graph.calls if isinstance(call.operation, _TEXT_LAYERS)}
    for call in fronts.values():
        refuse_other_than_ids(call.operation)
    read = {value: made for made, call in fronts.items() for value in call.inputs}
    inputs = [read.get(value, value) for value in graph.inputs]
    kept = _from_ids(graph, inputs)
    environment = {value: _input(value, graph_input) for value, graph_input in zip(inputs, graph.inputs, strict=True)}
    replay(kept, environment)
    rebuilt = keras.Model([environment[v] for v in inputs], [environment[v] for v in graph.outputs], name=model.name)
    layers = {value.name: fronts[read[value]].operation for value in graph.inputs if value in read}
    return TextModel(rebuilt, layers)


def _from_ids(graph: Graph, inputs: Sequence[Value]) -> list[Call]:
    """Return the calls that come after the inputs."""
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
            "save the part behind those layers as a model of its own, and give the words with "
            f"{option('source_vocab', 'FILE')}"
        )
    return kept


def _input(value: Value, original: Value) -> Any:
    shape = value.shape[1:]
    return keras.Input((None,) if len(shape) != 1 else shape, dtype=value.dtype, name=original.name)

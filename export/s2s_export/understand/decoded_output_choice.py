"""Models with several outputs: the one that is decoded, as the caller or the vocabulary says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import keras

from s2s_export.errors import ExportError
from s2s_export.options import ExportOptions
from s2s_runtime.spelling import option, option_each
from s2s_training.splitting.decoded_output import output_name
from s2s_training.splitting.graph import distinct_names, flatten_model
from s2s_training.splitting.splitter import SplitModel

_FEWEST_STEPS = 3


def with_steps_joined(model: keras.Model) -> keras.Model:
    """Return a model whose steps are one output, where each is an output of its own; any other model as it is.

    Unrolled models are often built with a list of outputs, each (batch, symbols) or (batch, 1, symbols).
    """
    shapes = {tuple(tensor.shape) for tensor in model.outputs or []}
    shape = next(iter(shapes), ())
    stacked, joined = len(shape) == 2, len(shape) == 3 and shape[1] == 1
    if len(shapes) != 1 or len(model.outputs) < _FEWEST_STEPS or not (stacked or joined):
        return model
    steps = keras.ops.stack(model.outputs, axis=1) if stacked else keras.ops.concatenate(model.outputs, axis=1)
    return keras.Model(model.inputs, steps, name=model.name)


@dataclass(frozen=True)
class ChosenOutput:
    """A model that has only the output that is decoded, where that one is known before the model is split.

    Attributes:
        model: from the same inputs.
        names: of all outputs of the training model.
        index: which of them is the model's only one; None where it has them all.
        joined: names of outputs that were taken for the steps of one; empty where none were.
    """

    model: keras.Model
    names: tuple[str, ...]
    index: int | None = None
    joined: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: keras.Model, options: ExportOptions, first: str | None = None) -> ChosenOutput:
        """Choose the output that is named, or else the only one that is as wide as the target vocabulary given.

        Args:
            model: the training model.
            options: of the export; of several names the first counts here.
            first: the name of an output that counts before those.

        Raises:
            ExportError: the name is none of the outputs'.
        """
        wanted = first or next(iter(options.output_names), None)
        several = first is not None or len(options.output_names) > 1
        given, all_names = model, output_names(model)
        model = model if several else with_steps_joined(model)
        names, joined = (all_names, ()) if model is given else (output_names(model), all_names)
        target = None if options.vocabulary is None else options.vocabulary.target
        places: list[int] = []
        if wanted is not None:
            if wanted not in names:
                raise ExportError(
                    f"{option('decoder_output')}: expected the name of one of the model's outputs "
                    f"({', '.join(names)}), got {wanted!r}"
                )
            places = [names.index(wanted)]
        elif target is not None:
            shapes = [tensor.shape for tensor in model.outputs]
            places = [i for i, shape in enumerate(shapes) if len(shape) == 3 and shape[-1] == len(target)]
        if len(names) == 1 or len(places) != 1:
            return cls(model, names, joined=joined)
        return cls(keras.Model(model.inputs, model.outputs[places[0]], name=model.name), names, places[0])

    def name(self, split: SplitModel) -> str | None:
        """Return the name of the output that is decoded; None where it is none of the training model's as it is."""
        if split.steps is not None or (self.index is None and len(self.model.outputs) != len(self.names)):
            return None
        return self.names[split.output_index if self.index is None else self.index]

    def notes(self, split: SplitModel) -> list[str]:
        """Return a sentence on which output is decoded, where there are several.

        The outputs of a model that was saved unrolled may be its steps, which need no such sentence.
        """
        if self.joined and split.one_graph:
            each = option_each("decoder_output", self.joined)
            names = ", ".join(self.joined)
            return [
                f"the outputs {names} are alike, and taken for the steps of one sequence ({each} says they are not)"
            ]
        if len(self.names) == 1 or split.steps is not None:
            return []
        name = self.names[split.output_index if self.index is None else self.index]
        others = ", ".join(self.names)
        return [f"of the model's outputs ({others}) {name!r} is decoded ({option('decoder_output')} names another)"]


def output_names(model: keras.Model) -> tuple[str, ...]:
    """Return the names of a model's outputs; of several that one layer makes, all but the first end in their number."""
    graph = flatten_model(model)
    with distinct_names(graph):
        made_by = [output_name(graph, value) for value in graph.outputs]
    seen: Counter[str] = Counter()
    names = []
    for name in made_by:
        names.append(f"{name}.{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return tuple(names)

"""A loaded bundle: its manifest, and its graphs until it is closed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Self, cast

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.declared_options import known_keywords
from s2s_runtime.decoding.decoding import Decoding
from s2s_runtime.decoding.last_options import LastDecoding
from s2s_runtime.decoding.workers import Workers
from s2s_runtime.errors import ClosedModelError, OptionError
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.options import DecodingOptions, merged_values
from s2s_runtime.search.step_model import StepModel
from s2s_runtime.spelling import shown
from s2s_runtime.vocabulary.vocabulary import Vocabulary

if TYPE_CHECKING:
    from s2s_runtime.one_pass import following
    from s2s_runtime.one_pass import options as one_pass_options
    from s2s_runtime.one_pass.pass_model import OnePassModel
    from s2s_runtime.options import values as option_values
else:
    following, one_pass_options = LazyModule("one_pass.following"), LazyModule("one_pass.options")
    option_values = LazyModule("options.values")


class LoadedBundle(AbstractContextManager["LoadedBundle"]):
    """The properties and the life of a `Model`, which adds the verbs; the arguments are documented there."""

    def __init__(
        self,
        manifest: Manifest,
        step_model: StepModel[Any],
        provider: str = "",
        workers: Workers | None = None,
        name: str = "",
    ) -> None:
        self._manifest = manifest
        self._steps: StepModel[Any] | None = step_model
        self._provider = provider
        self._workers = workers
        self._name = name
        self._last = LastDecoding()

    def __repr__(self) -> str:
        state = "closed" if self.closed else self._provider
        return f"<{' '.join(filter(None, (type(self).__name__, self._name)))}: {self._manifest.summary}, {state}>"

    @property
    def manifest(self) -> Manifest:
        """The manifest of the bundle."""
        return self._manifest

    @property
    def source_vocabulary(self) -> Vocabulary | None:
        """Vocabulary of the source, or None where the model only knows numbers."""
        return self._manifest.source_vocabulary

    @property
    def target_vocabulary(self) -> Vocabulary | None:
        """Vocabulary of the target, or None where the model only knows numbers."""
        return self._manifest.target_vocabulary

    @property
    def provider(self) -> str:
        """The execution provider that decodes, by onnxruntime's name."""
        return self._provider

    @property
    def step_model(self) -> StepModel[Any]:
        """The graphs as the step model that search sees.

        Raises:
            ClosedModelError: the model was closed.
        """
        if self._steps is None:
            raise ClosedModelError("this model is closed; load the bundle again")
        return self._steps

    @property
    def workers(self) -> Workers | None:
        """The threads that decode the batches of a list side by side; None where batches follow one another."""
        return self._workers

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._steps is None

    @known_keywords
    def start(self, rows: int = 1) -> following.Following:
        """Begin to follow readings as they come, with a causal model of one pass; see `Following.advance`.

        Args:
            rows: how many sequences are followed side by side.

        Raises:
            OptionError: this bundle's model needs all of its source at once; or `rows` is out of range.
        """
        if "step" not in self._manifest.graphs:
            whole = "it is read as a whole" if self._manifest.kind == "one-pass" else "it is none of one pass"
            raise OptionError(f"start: this bundle's model can't follow readings as they come, as {whole}")
        return following.Following(self._manifest, self.step_model, rows)

    @known_keywords
    def output(self, name: str) -> Self:
        """Return this model with one of its several outputs alone: all verbs and options then mean that one.

        Args:
            name: which output, among `manifest.output_names`.

        Raises:
            OptionError: the model gives no such output.
            ClosedModelError: the model was closed.
        """
        names = self._manifest.output_names
        if name not in names:
            expected = f"one of {', '.join(map(repr, names))}" if names else "none, as this bundle's model gives one"
            raise OptionError(f"output: expected {expected}; got {shown(name)}")
        alone = cast("OnePassModel", self.step_model).of_output(names.index(name))
        return type(self)(self._manifest.of_output(name), alone, self._provider, None, f"{self._name}: {name}")

    def close(self) -> None:
        """Release the graphs, not the manifest; calls under way end as usual, later ones raise. Twice is no error."""
        self._steps = self._workers = None
        self._last = LastDecoding()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _decoding(self, verb: str, options: DecodingOptions | None, values: option_values.OptionValues) -> Decoding:
        """Return what decodes with these options, the one that did last where they are the same."""
        self._need_tokens(verb)
        parts = (self._manifest, self.step_model, self._workers)
        merged = merged_values(options, values)
        if self._manifest.kind == "one-pass":
            merged = one_pass_options.for_positions(merged)
        return self._last.get(merged, lambda given: Decoding(*parts, DecodingOptions(**given)))

    def _need_values(self, verb: str) -> None:
        if self._manifest.target.feedback != "value":
            values = [each.target.name for each in self._manifest.outputs if each.target.feedback == "value"]
            held = f": the values of {', '.join(map(repr, values))} are in the outputs of its results" if values else ""
            raise OptionError(f"{verb}: this bundle's model generates tokens, not values; use generate{held}")

    def _need_tokens(self, verb: str) -> None:
        if self._manifest.target.feedback == "value":
            raise OptionError(f"{verb}: this bundle's model gives values, not tokens; use predict")

    def _need_states(self, verb: str) -> None:
        if self._manifest.one_graph:
            raise OptionError(
                f"{verb}: this bundle's model carries nothing from token to token, as nothing is fed back; use generate"
            )

    def _chosen(self, options: DecodingOptions | None, values: option_values.OptionValues) -> DecodingOptions:
        return DecodingOptions(**merged_values(options, values))

"""The model as callers see it: texts or numbers in, results out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.batching import make_batches
from s2s_runtime.beam import beam_search
from s2s_runtime.errors import InputError, OptionError
from s2s_runtime.finish import Finisher
from s2s_runtime.forced import likeliest_next, score_targets
from s2s_runtime.greedy import greedy_search, greedy_stream
from s2s_runtime.manifest import Manifest
from s2s_runtime.options import DecodingOptions, OptionValues
from s2s_runtime.plan import make_plan, prefix_ids
from s2s_runtime.results import Result, TargetScore, TokenEvent
from s2s_runtime.scoring import LengthPenaltyKind
from s2s_runtime.search import Batch, Notify, SearchPlan
from s2s_runtime.sources import Inputs, Source, read_sources
from s2s_runtime.step_model import StepModel
from s2s_runtime.vocabulary import Vocabulary


class ScoreValues(TypedDict, total=False):
    """The decoding options that apply to `Model.score`, with the meanings and defaults of `DecodingOptions`."""

    length_penalty: float
    length_penalty_kind: LengthPenaltyKind
    coverage_penalty: float
    repetition_penalty: float
    max_batch_size: int


class Model:
    """A bundle ready to decode. `s2s_runtime.load` makes it.

    May be shared between threads: calls keep what changes to themselves.

    Float32 arithmetic: a sentence's logits may differ in their last bits with the number of rows computed together,
    as matrix products of different sizes add in a different order. Tokens are the same whatever else is in the batch,
    except where two candidates are that near to a tie.

    Args:
        manifest: what the bundle says about itself.
        step_model: its graphs, or anything else that encodes and steps.
        provider: the execution provider that decodes, by onnxruntime's name.
    """

    def __init__(self, manifest: Manifest, step_model: StepModel[Any], provider: str = "") -> None:
        self._manifest = manifest
        self._steps = step_model
        self._provider = provider

    @property
    def manifest(self) -> Manifest:
        """What the bundle says about itself."""
        return self._manifest

    @property
    def source_vocabulary(self) -> Vocabulary | None:
        """Symbols of the source, or None where the model only knows numbers."""
        return self._manifest.source_vocabulary

    @property
    def target_vocabulary(self) -> Vocabulary | None:
        """Symbols of the target, or None where the model only knows numbers."""
        return self._manifest.target_vocabulary

    @property
    def provider(self) -> str:
        """The execution provider that decodes, by onnxruntime's name."""
        return self._provider

    def generate(self, inputs: Inputs, **options: Unpack[OptionValues]) -> list[Result]:
        """Decode sources, all at once or in batches, greedily or by beam search.

        Args:
            inputs: texts, where the bundle has a source vocabulary; lists of ids of any lengths; an integer array
                (sentences, time); float arrays (sentences, time, features) where the source is values; one-hot
                arrays too where the model reads these.
            **options: the fields of `DecodingOptions`.

        Returns:
            One result per source, in order; none for none. An empty source (a text without symbols, a row of nothing
            but masked padding) gives an empty hypothesis with score 0, without asking the model.

        Raises:
            OptionError: an option is out of range or needs what the bundle lacks; nothing has run then.
            InputError: inputs of the wrong type, shape, range or length.
            UnknownSymbolError: a text holds a symbol that the vocabulary doesn't, and there is no unknown symbol.
        """
        chosen = DecodingOptions(**options)
        self._refuse_values("generate", "predict")
        plan = make_plan(chosen, self._manifest, self._notify(chosen))
        sources = read_sources(inputs, self._manifest)
        prefixes = prefix_ids(chosen.prefix, len(sources), self._manifest)
        if chosen.return_alternatives:
            return self._alternatives(sources, prefixes, chosen, plan)
        return self._decode(sources, prefixes, chosen, plan)

    def _decode(
        self,
        sources: Sequence[Source],
        prefixes: Sequence[Sequence[int]],
        options: DecodingOptions,
        plan: SearchPlan,
    ) -> list[Result]:
        finisher = Finisher(self._manifest, options)
        results: dict[int, Result] = {}
        search = greedy_search if plan.beam_size == 1 else beam_search
        for batch in make_batches(sources, prefixes, options, self._manifest):
            for row, ended in enumerate(search(self._steps, batch, plan)):
                place = int(batch.indices[row])
                results[place] = finisher.result(sources[place], ended, batch, row)
        return [results[place] if place in results else finisher.empty() for place in range(len(sources))]

    def _alternatives(
        self,
        sources: Sequence[Source],
        prefixes: Sequence[Sequence[int]],
        options: DecodingOptions,
        plan: SearchPlan,
    ) -> list[Result]:
        """Each of the likeliest next tokens as one more forced token, decoded to its best end."""
        followed: list[list[list[int]]] = [[] for _ in sources]
        for batch in make_batches(sources, prefixes, options, self._manifest):
            if batch.prefix is not None and bool(((batch.prefix >= 0).sum(axis=1) >= batch.limits).any()):
                raise OptionError("prefix: leaves no room for alternatives; shorten it or raise max_length")
            found = likeliest_next(
                self._steps, batch, plan, options.num_hypotheses, options.min_alternative_probability
            )
            for place, tokens in zip(batch.indices.tolist(), found, strict=True):
                followed[place] = [[*prefixes[place], int(token)] for token in tokens]
        repeated = [source for source, each in zip(sources, followed, strict=True) for _ in each]
        each_once = replace(plan, num_hypotheses=1)
        decoded = iter(self._decode(repeated, [prefix for each in followed for prefix in each], options, each_once))
        empty = Finisher(self._manifest, options).empty()
        results = []
        for each in followed:
            found_results = [next(decoded) for _ in each]
            if found_results:
                hypotheses = [result.hypotheses[0] for result in found_results]
                results.append(Result(hypotheses, found_results[0].source_tokens))
            else:
                results.append(empty)
        return results

    def stream(self, source: str | Sequence[int], **options: Unpack[OptionValues]) -> Iterator[str]:
        """Decode one source greedily (or by sampling) and yield its text piece by piece as it is written.

        The pieces put together are the text that `generate` gives.

        Args:
            source: a text, or ids.
            **options: as for `generate`; beam search, several hypotheses, alternatives and replaced unknown tokens
                can't be streamed.

        Raises:
            OptionError, InputError, UnknownSymbolError: as `generate`, when called.
        """
        chosen = DecodingOptions(**options)
        self._refuse_values("stream", "predict")
        for name, expected in (
            ("beam_size", 1),
            ("num_hypotheses", 1),
            ("return_alternatives", False),
            ("replace_unknown", False),
        ):
            if getattr(chosen, name) != expected:
                raise OptionError(f"{name}: expected {expected} for stream, got {getattr(chosen, name)!r}")
        plan = make_plan(chosen, self._manifest, self._notify(chosen))
        sources = read_sources([source], self._manifest)
        batches = make_batches(sources, prefix_ids(chosen.prefix, 1, self._manifest), chosen, self._manifest)
        return self._pieces(batches, Finisher(self._manifest, chosen), plan)

    def _pieces(self, batches: Sequence[Batch], finisher: Finisher, plan: SearchPlan) -> Iterator[str]:
        given = ""
        for batch in batches:  # one, or none where the source is empty
            for ids in greedy_stream(self._steps, batch, plan):
                text = finisher.text(ids)
                if len(text) > len(given):
                    yield text[len(given) :]
                    given = text

    def score(
        self,
        sources: Inputs,
        targets: Sequence[str | Sequence[int]],
        *,
        add_end: bool = True,
        **options: Unpack[ScoreValues],
    ) -> list[TargetScore]:
        """How likely given targets are, by forced decoding.

        A hypothesis of `generate` has the score that this gives to its tokens (with the same penalties): with the end
        token where its `finish_reason` is "end", with `add_end=False` otherwise.

        Args:
            sources: as `inputs` of `generate`.
            targets: a text (where the bundle has a target vocabulary) or ids for each source.
            add_end: whether the bundle's (first) end token is put after each target that has none.
            **options: see `ScoreValues`.

        Raises:
            OptionError: an option is out of range.
            InputError: sources and targets don't pair up, an empty source, or ids out of range.
            UnknownSymbolError: a text holds a symbol that its vocabulary doesn't.
        """
        self._refuse_values("score", "predict")
        # the limit is the targets' own; a beam, because coverage has no meaning without
        chosen = DecodingOptions(beam_size=2, max_length=1, **options)
        plan = make_plan(chosen, self._manifest)
        read = read_sources(sources, self._manifest)
        given = [self._target(i, target, add_end) for i, target in enumerate(targets)]
        if len(read) != len(given):
            raise InputError(f"targets: expected one per source ({len(read)}), got {len(given)}")
        empty = [i for i, source in enumerate(read) if len(source) == 0]
        if empty:
            raise InputError(f"sources[{empty[0]}]: empty; there is nothing to score a target against")
        scores: list[TargetScore] = [TargetScore(0.0, 0.0, [])] * len(read)
        for batch in make_batches(read, [[]] * len(read), chosen, self._manifest):
            places = batch.indices.tolist()
            for place, found in zip(
                places, score_targets(self._steps, batch, [given[i] for i in places], plan), strict=True
            ):
                tokens = [float(score) for score in found.token_scores]
                scores[place] = TargetScore(found.score, float(found.token_scores.sum(dtype=np.float32)), tokens)
        return scores

    def _target(self, place: int, target: str | Sequence[int], add_end: bool) -> list[int]:
        vocabulary, spec = self._manifest.target_vocabulary, self._manifest.target
        if isinstance(target, str):
            if vocabulary is None:
                raise InputError(f"targets[{place}]: expected ids, as this bundle has no target vocabulary")
            ids = vocabulary.encode(target)
        else:
            ids = [int(token) for token in target]
        wrong = [token for token in ids if not 0 <= token < spec.size]
        if wrong:
            raise InputError(f"targets[{place}]: expected ids from 0 to {spec.size - 1}, got {wrong[0]}")
        if add_end and spec.end_ids and (not ids or ids[-1] not in spec.end_ids):
            ids.append(spec.end_ids[0])
        return ids

    def predict(
        self,
        inputs: Inputs,
        *,
        steps: int | None = None,
        start: NDArray[np.floating] | None = None,
        max_batch_size: int = 64,
    ) -> NDArray[np.float32]:
        """Predict sequences of values, each output fed back as the next input.

        Args:
            inputs: float (sentences, time, features), or a list of (time, features).
            steps: how many to predict; None = the bundle's.
            start: value read at the first step, (features,) or (sentences, features); None = zeros.
            max_batch_size: most sequences computed at once.

        Returns:
            float32 (sentences, steps, features).

        Raises:
            OptionError: an option is out of range, or the bundle's model generates tokens.
            InputError: inputs of the wrong type or shape.
        """
        target = self._manifest.target
        if target.feedback != "value":
            raise OptionError("predict: this bundle's model generates tokens, not values; use generate")
        count = target.max_length if steps is None else steps
        if count is None:
            raise OptionError("steps: this bundle doesn't say how long targets get; give steps")
        if count < 1:
            raise OptionError(f"steps: expected at least 1, got {steps}")
        sources = read_sources(inputs, self._manifest)
        empty = [i for i, source in enumerate(sources) if len(source) == 0]
        if empty:
            raise InputError(f"inputs[{empty[0]}]: empty; there is nothing to predict from")
        first = np.zeros((len(sources), target.size), np.float32)
        first[:] = 0.0 if start is None else start
        options = DecodingOptions(max_length=count, max_batch_size=max_batch_size)
        predicted = np.zeros((len(sources), count, target.size), np.float32)
        for batch in make_batches(sources, [[]] * len(sources), options, self._manifest):
            states, value = self._steps.encode(batch.source), first[batch.indices]
            for step in range(count):
                value = self._steps.step(states, value).logits  # type: ignore[arg-type]
                predicted[batch.indices, step] = value
        return predicted

    def _refuse_values(self, verb: str, instead: str) -> None:
        if self._manifest.target.feedback == "value":
            raise OptionError(f"{verb}: this bundle's model gives values, not tokens; use {instead}")

    def _notify(self, options: DecodingOptions) -> Notify | None:
        """The callback as search calls it."""
        callback = options.callback
        if callback is None:
            return None
        finisher = Finisher(self._manifest, options)

        def notify(sentence: int, step: int, token: int, score: float | None, is_last: bool) -> bool:
            event = TokenEvent(sentence, step, token, finisher.tokens([token])[0], score, is_last)
            return bool(callback(event))

        return notify

"""All decoding options together, and what they say against one another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from numbers import Number
from typing import Any, Final

from s2s_runtime.declared_options import (
    DeclaredOption,
    declared,
    declares_options,
    differs,
    given_values,
    names_where,
    option_problems,
)
from s2s_runtime.declared_options.checks import is_list
from s2s_runtime.errors import OptionError
from s2s_runtime.options.language_models import LanguageModelOptions
from s2s_runtime.options.output import OutputOptions
from s2s_runtime.options.running import RunningOptions
from s2s_runtime.options.sampling import SamplingOptions
from s2s_runtime.options.search import SearchOptions
from s2s_runtime.options.terms import BUNDLES, SAMPLING
from s2s_runtime.options.tokens import TokenOptions
from s2s_runtime.spelling import shown

_MAY_KEEP_OUT: Final = (
    "allowed_sequences",
    "allowed_next",
    "logits_processor",
    "suppress_sequences",
    "no_repeat_ngram_size",
    "lexicon",
)


@declares_options
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DecodingOptions(
    RunningOptions, OutputOptions, SamplingOptions, LanguageModelOptions, TokenOptions, SearchOptions
):
    """The options of decoding.

    "Length" of a target counts its tokens, the end token included. Tokens are given as ids, or as symbols where the
    bundle has a target vocabulary. The padding and start tokens are never generated.

    Raises:
        OptionError: names the option, what it got and what is allowed.
    """

    def __post_init__(self) -> None:
        problems = option_problems(self) or self._contradictions()
        if problems:
            raise OptionError("; ".join(problems))

    def _contradictions(self) -> list[str]:
        """Return what options say against one another, where each is right by itself."""
        problems = self._contradictory_beams()
        most = self.pool
        several = self.sampling and not self.stochastic_beams
        if self.num_hypotheses > most and not (several or self.return_alternatives):
            problems.append(
                f"num_hypotheses: expected at most beam_size * patience = {most} (beam_size {self.beam_size}, "
                f"patience {self.patience:g}), got {self.num_hypotheses}"
            )
        if self.max_length is not None and self.min_length > self.max_length:
            problems.append(f"min_length: expected at most max_length = {self.max_length}, got {self.min_length}")
        if self.on_long == "split" and self.num_hypotheses > 1:
            problems.append(
                f"on_long: 'split' joins the best of each part; expected num_hypotheses 1, got {self.num_hypotheses}"
            )
        if self.on_long == "split" and self.callback is not None:
            problems.append("on_long: 'split' can't be combined with a callback, whose events count whole sources")
        if self.return_alternatives and (self.sampling or self.callback is not None):
            problems.append("return_alternatives: can't be combined with sampling or a callback")
        for name in ("allowed_next", "logits_processor"):
            if self.allowed_sequences is not None and getattr(self, name) is not None:
                problems.append(f"allowed_sequences: can't be combined with {name}, which may leave none whole")
        if self.min_bayes_risk is not None and (self.return_alternatives or self.coverage_penalty):
            other = "return_alternatives" if self.return_alternatives else "coverage_penalty"
            problems.append(f"min_bayes_risk: can't be combined with {other}")
        if self.lexicon is not None and self.allowed_sequences is not None:
            problems.append("lexicon: can't be combined with allowed_sequences, which its outputs may not be among")
        if len(self.required_phrases):
            others = [name for name in _MAY_KEEP_OUT if getattr(self, name)]
            problems += [f"required_phrases: can't be combined with {name}, which may keep them out" for name in others]
        return problems

    def _contradictory_beams(self) -> list[str]:
        """Return what options about beams that vary say against others."""
        problems = []
        if self.beam_size % self.beam_groups:
            problems.append(
                f"beam_groups: expected a number that divides beam_size {self.beam_size}, got {self.beam_groups}"
            )
        if self.stochastic_beams and (self.beam_groups > 1 or self.patience != 1):
            other = "beam_groups" if self.beam_groups > 1 else "patience"
            problems.append(f"stochastic_beams: can't be combined with {other}, as they draw what the beam holds")
        if self.rescore and self.return_alternatives:
            problems.append("rescore: can't be combined with return_alternatives, whose order is that of first tokens")
        return problems

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in given_values(self).items())
        return f"{type(self).__name__}({given})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DecodingOptions):
            return NotImplemented
        return bool(_plain(given_values(self)) == _plain(given_values(other)))

    def __hash__(self) -> int:
        given = given_values(self).items()  # lists have no hash, and equal options may hold equal lists
        return hash(frozenset((name, value) for name, value in given if isinstance(value, Number | str)))

    @property
    def sampling(self) -> bool:
        """Whether tokens are drawn at random."""
        drawn = (getattr(self, name) is not None for name in names_where(DecodingOptions, group=SAMPLING))
        return self.stochastic_beams or any(drawn)

    @property
    def guided(self) -> bool:
        """Whether language models count at every step."""
        internal = self.internal_language_model is not None and self.internal_language_model_weight > 0
        counts = self.language_model is not None and (self.language_model_weight > 0 or internal)
        return counts and not self.rescore

    @property
    def scored(self) -> bool:
        """Whether log-probabilities are computed."""
        several = self.beam_size > 1 or self.num_hypotheses > 1
        return several or self.return_scores or self.return_token_scores

    @property
    def weighed(self) -> bool:
        """Whether it is computed how sure the model is."""
        return self.return_confidence or self.return_top_tokens > 0

    @property
    def pool(self) -> int:
        """How many hypotheses have to end before beam search may stop: round(beam_size * patience), at least 1."""
        return max(1, math.floor(self.beam_size * self.patience + 0.5))

    def obstacles(self, engine: str) -> list[str]:
        """Return the options asked for that an engine can't serve; empty where it can serve them all.

        Prefixes are left out: they come with the sentences, and none of a batch may have one.
        """
        asked = [option for option in _beyond(engine) if differs(getattr(self, option.name), option.default)]
        if not self.guided:  # language models look at what the engine found, or at nothing
            asked = [option for option in asked if option.option.group != BUNDLES]
        return list(dict.fromkeys(option.option.obstacle or option.name for option in asked))


def _plain(value: Any) -> Any:
    """Return a value in which lists, tuples and arrays of equal items are equal."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if is_list(value) else value


@cache
def _beyond(engine: str) -> tuple[DeclaredOption, ...]:
    """Return the options that an engine can't serve."""
    every = declared(DecodingOptions).values()
    served = (option for option in every if option.name != "prefix")
    return tuple(option for option in served if option.option.engines and engine not in option.option.engines)


def merged_values(options: DecodingOptions | None, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options given as one object, with those given by name put in their places.

    Raises:
        OptionError: the object isn't `DecodingOptions`.
    """
    if options is None:
        return values
    if not isinstance(options, DecodingOptions):
        raise OptionError(f"options: expected DecodingOptions, got {shown(options)}; give others by their names")
    return {**given_values(options), **values}

"""Decoding options: language models beside the model, and how much they count."""

from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Annotated, Any

from s2s_runtime.declared_options import Need, Option
from s2s_runtime.options.terms import BUNDLES, LANGUAGE, ONLY_STEPS, SCORE, named
from s2s_runtime.options.types import LanguageModel

_counted = partial(Option, panel=LANGUAGE, verbs=(*SCORE, "evaluate"))


def _is_bundle(value: Any) -> bool:
    return isinstance(value, str | PathLike) or hasattr(type(value), "step_model")


_bundle = partial(
    _counted,
    group=BUNDLES,
    expected="a loaded bundle of a language model, or its path",
    allowed=_is_bundle,
    typed=Path,
    metavar="BUNDLE",
    engines=ONLY_STEPS,
    obstacle="language models",
    not_for=("generate_from",),
)  # an option that takes a language model


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class LanguageModelOptions:
    """The options that say which language models count, and how much."""

    language_model: Annotated[
        LanguageModel | None,
        _bundle(
            help="Bundle of a language model of the target: what it finds likely counts too.",
            elsewhere=named(fairseq="--lm-path"),
        ),
    ] = None
    """A language model of the target, a loaded bundle or its path, whose log-probabilities count too, at every step
    (shallow fusion). Tokens are matched by their texts; those that it lacks are its unknown symbol, or an error.
    Scores count it, those of `score` too."""

    language_model_weight: Annotated[
        float,
        _counted(
            at_least=0,
            needs=["language_model"],
            help="How much the language model counts beside the model.",
            elsewhere=named(fairseq="--lm-weight"),
        ),
    ] = 0.1
    """What the log-probabilities of language_model are multiplied by before they are added; with 0 all is as without
    it."""

    internal_language_model: Annotated[
        LanguageModel | None,
        _bundle(
            needs=["language_model"],
            help="Bundle of a language model of the training targets: what it finds likely counts less.",
        ),
    ] = None
    """A language model of the targets that the model was trained on, which stands for what the model itself knows of
    them: its log-probabilities are subtracted, so that language_model takes their place (density ratio, McDermott et
    al. 2019). As they may make a sequence better as it grows, a search may stop before the best is found."""

    internal_language_model_weight: Annotated[
        float,
        _counted(
            at_least=0,
            needs=["internal_language_model"],
            help="How much is subtracted for --internal-language-model.",
        ),
    ] = 0.1
    """What the log-probabilities of internal_language_model are multiplied by before they are subtracted."""

    rescore: Annotated[
        bool,
        Option(
            panel=LANGUAGE,
            verbs=("evaluate",),
            needs=[
                "language_model",
                Need(
                    words="num_hypotheses above 1",
                    present=lambda given: given.num_hypotheses > 1,
                    got=lambda given: f"num_hypotheses {given.num_hypotheses}",
                ),
            ],
            not_for=("stream", "generate_from"),
            help="Language models put the hypotheses in order that are found without them.",
        ),
    ] = False
    """Language models look at the hypotheses of the search alone, not at every step: these get the scores that they
    would have had, and come in their order. The search is as without language models, in the graph where it can."""

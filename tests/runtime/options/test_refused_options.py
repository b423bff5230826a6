"""Which options are taken, and what is said of those that are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import s2s_runtime
from s2s_runtime import DecodingOptions, Model, OptionError
from s2s_runtime.errors import UnknownOptionError
from s2s_runtime.options import OptionValues


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 0}, "beam_size: expected an integer from 1 to 65536, got 0"),
        ({"beam_size": 2.0}, "beam_size: expected an integer from 1 to 65536, got 2.0"),
        ({"beam_size": True}, "beam_size: expected an integer from 1 to 65536, got True"),
        ({"num_hypotheses": 0}, "num_hypotheses: expected an integer from 1 to 65536, got 0"),
        (
            {"num_hypotheses": 3, "beam_size": 2},
            "num_hypotheses: expected at most beam_size * patience = 2 (beam_size 2, patience 1), got 3",
        ),
        ({"patience": 0, "beam_size": 2}, "patience: expected a number above 0, got 0"),
        ({"patience": 2.0}, "patience: needs beam_size above 1, got patience 2 with beam_size 1"),
        ({"length_penalty": -1}, "length_penalty: expected a number of at least 0, got -1"),
        ({"length_penalty": float("nan")}, "length_penalty: expected a number of at least 0, got nan"),
        ({"length_penalty_kind": "mean"}, "length_penalty_kind: expected 'average' or 'gnmt', got 'mean'"),
        ({"coverage_penalty": -0.1, "beam_size": 2}, "coverage_penalty: expected a number of at least 0, got -0.1"),
        (
            {"coverage_penalty": 0.1},
            "coverage_penalty: has no effect without beam_size above 1; give that too or leave",
        ),
        ({"max_length": 0}, "max_length: expected an integer from 1 to 2147483647, got 0"),
        ({"max_length_ratio": -1}, "max_length_ratio: expected a number of at least 0, or a pair (a, b), got -1"),
        ({"max_length_ratio": (1, 2, 3)}, "max_length_ratio: expected a number of at least 0, or a pair (a, b)"),
        ({"min_length": -1}, "min_length: expected an integer of at least 0, got -1"),
        ({"min_length": 5, "max_length": 4}, "min_length: expected at most max_length = 4, got 5"),
        ({"repetition_penalty": 0}, "repetition_penalty: expected a number above 0, got 0"),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size: expected an integer of at least 0, got -1"),
        ({"no_repeat_ngram_exclude": [3]}, "no_repeat_ngram_exclude: has no effect without no_repeat_ngram_size"),
        ({"suppress_tokens": "A"}, "suppress_tokens: expected a list, got 'A'"),
        ({"suppress_tokens": ["X"]}, "suppress_tokens: 'X' is not in the target vocabulary"),
        ({"suppress_tokens": [8]}, "suppress_tokens: expected symbols or ids from 0 to 7, got 8"),
        ({"suppress_tokens": range(8)}, "suppress_tokens: nothing is left to generate of the 8 tokens; suppress fewer"),
        (
            {"suppress_sequences": [[]]},
            "suppress_sequences: expected sequences of at least one token, got an empty one",
        ),
        ({"suppress_sequences": ["AB"]}, "suppress_sequences: expected a list of tokens, got 'AB'"),
        ({"allow_unknown": 1}, "allow_unknown: expected True or False, got 1"),
        ({"end_tokens": [99]}, "end_tokens: expected symbols or ids from 0 to 7, got 99"),
        ({"return_end_token": True, "end_tokens": []}, "return_end_token: needs an end token"),
        ({"min_length": 1, "end_tokens": []}, "min_length: needs an end token"),
        ({"prefix": ["A"]}, "prefix: expected one per sentence (2), None for those without; got 1"),
        ({"prefix": [None, [1]]}, "prefix[1]: holds an end token, after which nothing follows; leave it out"),
        ({"prefix": [None, [9]]}, "prefix[1]: expected symbols or ids from 0 to 7, got 9"),
        ({"prefix": ["ABC", None], "max_length": 2}, "prefix[0]: 3 tokens, but the target may have 2; shorten it"),
        ({"sampling_temperature": 0}, "sampling_temperature: expected a number above 0, got 0"),
        ({"sampling_top_k": 0}, "sampling_top_k: expected an integer of at least 1, got 0"),
        ({"sampling_top_p": 1.5}, "sampling_top_p: expected a number above 0 and at most 1, got 1.5"),
        ({"sampling_typical_p": 0}, "sampling_typical_p: expected a number above 0 and at most 1, got 0"),
        ({"sampling_epsilon": 1.0}, "sampling_epsilon: expected a number above 0 and below 1, got 1.0"),
        (
            {"sampling_epsilon": 0.1, "beam_size": 2},
            "sampling_epsilon: needs beam_size 1 or stochastic_beams, got beam_size 2",
        ),
        (
            {"sampling_top_k": 2, "beam_size": 2},
            "sampling_top_k: needs beam_size 1 or stochastic_beams, got beam_size 2",
        ),
        ({"seed": -1, "sampling_top_k": 2}, "seed: expected an integer of at least 0, got -1"),
        ({"seed": 1}, "seed: has no effect without one of the sampling options; give that too or leave seed out"),
        ({"allowed_next": [1]}, "allowed_next: expected a function, got [1]"),
        (
            {"allowed_next": lambda step, tokens: [99]},
            "allowed_next: expected it to return ids from 0 to 7 or a boolean",
        ),
        ({"phrase_table": {"a": "A"}}, "phrase_table: has no effect without replace_unknown; give that too or leave"),
        ({"phrase_table": ["a"], "replace_unknown": True}, "phrase_table: expected a mapping of tokens to tokens"),
        (
            {"phrase_table": {"a": None}, "replace_unknown": True},
            "phrase_table: expected a mapping of tokens to tokens",
        ),
        (
            {"allowed_next": lambda step, tokens: None},
            "allowed_next: expected it to return ids from 0 to 7 or a boolean",
        ),
        ({"allowed_next": lambda step, tokens: 5}, "allowed_next: expected it to return ids from 0 to 7 or a boolean"),
        ({"prefix": [5, None]}, "prefix[0]: expected a list of tokens, got 5"),
        ({"prefix": [[3], [5]], "end_tokens": ["C"]}, "prefix[1]: holds an end token, after which nothing follows"),
        ({"suppress_sequences": [5]}, "suppress_sequences: expected a list of tokens, got 5"),
        ({"min_length": 13}, "min_length: expected at most 12, the longest target this bundle's model was made for"),
        (
            {"min_alternative_probability": 0.1},
            "min_alternative_probability: has no effect without return_alternatives",
        ),
        (
            {"min_alternative_probability": 2, "return_alternatives": True},
            "min_alternative_probability: expected a number from 0 to 1, got 2",
        ),
        ({"return_alternatives": True, "sampling_top_k": 1}, "return_alternatives: can't be combined with sampling"),
        (
            {"return_alternatives": True, "prefix": ["AB", None], "max_length": 2},
            "prefix: leaves no room for alternatives",
        ),
        ({"callback": print, "beam_size": 2}, "callback: needs beam_size 1, got beam_size 2"),
        ({"callback": print, "num_hypotheses": 2, "sampling_top_k": 2}, "callback: needs num_hypotheses 1"),
        ({"cancel": True}, "cancel: expected a threading.Event or the like, with is_set(), got True"),
        ({"unknown_symbols": "drop"}, "unknown_symbols: expected 'error' or 'unk' or 'skip', got 'drop'"),
        ({"unknown_symbols": "unk"}, "unknown_symbols: 'unk' needs an unknown symbol in the source vocabulary"),
        ({"engine": "loop"}, "engine: expected 'auto' or 'graph' or 'steps', got 'loop'"),
        ({"max_batch_size": 0}, "max_batch_size: expected an integer of at least 1, got 0"),
        ({"batch_by": "words"}, "batch_by: expected 'sentences' or 'tokens', got 'words'"),
        (
            {"beam_size": 0, "max_length": 0},
            "beam_size: expected an integer from 1 to 65536, got 0; max_length: expected",
        ),
    ],
)
def test_bad_options_are_refused(tiny: Model, options: dict[str, Any], message: str) -> None:
    """Each is one clear error that names the option, what it got and what is allowed."""
    with pytest.raises(OptionError) as caught:
        tiny.generate(["abc", "de"], **options)
    assert message in str(caught.value)


def test_options_that_the_bundle_cannot_serve_are_refused(tiny_onehot: Model, fixtures: Path) -> None:
    """Attention, end tokens, vocabularies, a length: the error says what the bundle lacks."""
    for name in ("return_attention", "replace_unknown"):
        with pytest.raises(OptionError, match=f"{name}: needs attention, which this bundle's model doesn't have"):
            tiny_onehot.generate(["abc"], **{name: True})
    with pytest.raises(OptionError, match=r"coverage_penalty: needs attention"):
        tiny_onehot.generate(["abc"], beam_size=2, coverage_penalty=0.2)
    numbers = s2s_runtime.load(fixtures / "tiny-probabilities.s2s")
    with pytest.raises(OptionError, match=r"suppress_tokens: expected ids, as this bundle has no target vocabulary"):
        numbers.generate([[1]], suppress_tokens=["A"])
    with pytest.raises(OptionError, match=r"prefix\[0\]: expected ids, as this bundle has no target vocabulary"):
        numbers.generate([[1]], prefix=["A"])


def test_unknown_length_has_to_be_given(random_model: Callable[..., Model]) -> None:
    """A bundle that doesn't say how long targets get needs max_length or max_length_ratio."""
    model = random_model(0, 5, max_length=None)
    with pytest.raises(OptionError, match=r"max_length: this bundle doesn't say how long targets get; give max_length"):
        model.generate([[1]])
    assert len(model.generate([[1, 2]], max_length_ratio=2, end_tokens=[])[0].ids) == 4


def test_keyword_arguments_are_the_fields(tiny: Model) -> None:
    """The TypedDict that types **options has exactly the fields of DecodingOptions."""
    assert set(get_type_hints(OptionValues)) == {field.name for field in fields(DecodingOptions)}
    with pytest.raises(TypeError, match="beam_sise"):
        tiny.generate(["abc"], beam_sise=2)  # type: ignore[call-arg]


@pytest.mark.parametrize("value", [0, 1.5, float("nan"), "0.1"])
def test_a_min_p_out_of_range_is_named(tiny: Model, value: object) -> None:
    """Above 0 and at most 1; another library's name for it is answered by ours."""
    with pytest.raises(OptionError, match="sampling_min_p: expected a number above 0 and at most 1, got"):
        tiny.generate(["abc"], sampling_min_p=value)
    with pytest.raises(UnknownOptionError, match="what Hugging Face calls min_p is sampling_min_p here"):
        tiny.generate(["abc"], min_p=0.1)

"""Decoding options: what each does, and that each does something."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from places import FIXTURES
from typer.testing import CliRunner

from s2s_runtime import DecodingOptions, Model, TokenEvent
from s2s_runtime.commands import decode
from s2s_runtime.declared_options import declared

TINY = str(FIXTURES / "tiny.s2s")
WRITER = str(FIXTURES / "tiny-writer.s2s")
SOURCES = ["abcab", "edc", "aaaaaa", "dcbe"]
EFFECTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "beam_size": ({}, {"beam_size": 4}),
    "num_hypotheses": ({"beam_size": 4}, {"num_hypotheses": 3}),
    "patience": (
        {"beam_size": 6, "num_hypotheses": 3, "length_penalty": 0, "end_tokens": ["</s>", "C", "D"]},
        {"patience": 2.0},
    ),
    "beam_groups": ({"beam_size": 4, "num_hypotheses": 4}, {"beam_groups": 4}),
    "diversity_penalty": ({"beam_size": 4, "num_hypotheses": 4, "beam_groups": 4}, {"diversity_penalty": 4.0}),
    "length_penalty": ({"beam_size": 8, "num_hypotheses": 8}, {"length_penalty": 3.0}),
    "length_penalty_kind": ({"beam_size": 4}, {"length_penalty_kind": "gnmt"}),
    "coverage_penalty": ({"beam_size": 4}, {"coverage_penalty": 2.0}),
    "max_length": ({}, {"max_length": 2}),
    "max_length_ratio": ({}, {"max_length_ratio": 0.5}),
    "min_length": ({}, {"min_length": 7}),
    "repetition_penalty": ({}, {"repetition_penalty": 3.0}),
    "no_repeat_ngram_size": ({}, {"no_repeat_ngram_size": 1}),
    "no_repeat_ngram_exclude": ({"no_repeat_ngram_size": 1}, {"no_repeat_ngram_exclude": ["B", "D"]}),
    "suppress_tokens": ({}, {"suppress_tokens": ["B"]}),
    "suppress_sequences": ({}, {"suppress_sequences": [["B", "B"], ["D"]]}),
    "allow_unknown": ({"suppress_tokens": list("ABCDE")}, {"allow_unknown": True}),
    "end_tokens": ({}, {"end_tokens": ["D"]}),
    "return_end_token": ({}, {"return_end_token": True}),
    "prefix": ({}, {"prefix": ["C", None, [4, 5], None]}),
    "sampling_temperature": ({}, {"sampling_temperature": 5.0, "seed": 1}),
    "sampling_top_k": ({"sampling_temperature": 9.0, "seed": 1}, {"sampling_top_k": 2}),
    "sampling_top_p": ({"sampling_temperature": 1.0, "seed": 1}, {"sampling_top_p": 0.3}),
    "sampling_min_p": ({"sampling_temperature": 5.0, "seed": 1}, {"sampling_min_p": 0.8}),
    "sampling_typical_p": ({"sampling_temperature": 5.0, "seed": 1}, {"sampling_typical_p": 0.2}),
    "sampling_epsilon": ({"sampling_temperature": 5.0, "seed": 1}, {"sampling_epsilon": 0.2}),
    "stochastic_beams": ({"beam_size": 3, "num_hypotheses": 3}, {"stochastic_beams": True, "seed": 1}),
    "seed": ({"sampling_temperature": 5.0, "seed": 1}, {"seed": 2}),
    "allowed_next": ({}, {"allowed_next": lambda step, tokens: [3, 4] if step < 3 else [1]}),
    "allowed_sequences": ({}, {"allowed_sequences": ["BAD", "DEAD"]}),
    "min_bayes_risk": ({"beam_size": 8, "num_hypotheses": 8}, {"min_bayes_risk": "edit_distance"}),
    "logits_processor": ({}, {"logits_processor": lambda ids, logits: -logits}),
    "required_phrases": ({"beam_size": 2}, {"required_phrases": ["EE"]}),
    "bias": ({}, {"bias": {"EE": 30.0}}),
    "lexicon": ({}, {"lexicon": {"edc": "A"}}),
    "lexicon_use": ({"lexicon": {"edc": "A"}, "beam_size": 2, "num_hypotheses": 2}, {"lexicon_use": "merge"}),
    "language_model": ({"return_scores": True}, {"language_model": WRITER}),
    "language_model_weight": ({"language_model": WRITER}, {"language_model_weight": 2.0}),
    "internal_language_model": ({"language_model": WRITER, "return_scores": True}, {"internal_language_model": WRITER}),
    "internal_language_model_weight": (
        {"language_model": WRITER, "internal_language_model": WRITER, "return_scores": True},
        {"internal_language_model_weight": 3.0},
    ),
    "rescore": (
        {"beam_size": 2, "num_hypotheses": 2, "language_model": WRITER, "language_model_weight": 2.0},
        {"rescore": True},
    ),
    "replace_unknown": ({"suppress_tokens": list("ABCDE")}, {"replace_unknown": True}),
    "phrase_table": ({"suppress_tokens": list("ABCDE"), "replace_unknown": True}, {"phrase_table": {"a": "alpha"}}),
    "return_scores": ({}, {"return_scores": True}),
    "return_token_scores": ({"return_scores": True}, {"return_token_scores": True}),
    "return_confidence": ({}, {"return_confidence": True}),
    "return_top_tokens": ({}, {"return_top_tokens": 2}),
    "return_attention": ({}, {"return_attention": True}),
    "return_alternatives": ({"beam_size": 3, "num_hypotheses": 3}, {"return_alternatives": True}),
    "min_alternative_probability": (
        {"return_alternatives": True, "num_hypotheses": 5},
        {"min_alternative_probability": 0.2},
    ),
    "callback": ({}, {"callback": lambda event: event.step == 1}),
}


def test_every_option_changes_some_result(tiny: Model) -> None:
    """No option is accepted and ignored; how batches are cut, and which engine runs, must change nothing."""
    unseen = {field.name for field in fields(DecodingOptions)} - set(EFFECTS)
    # the last five decide whether there is a result at all; those and `engine` have tests of their own
    assert unseen == {
        "max_batch_size",
        "max_batch_tokens",
        "batch_by",
        "engine",
        "cancel",
        "unknown_symbols",
        "max_source_length",
        "on_long",
        "on_error",
        "return_alignments",  # of models trained with CTC, which have tests of their own
    }
    for name, (base, change) in EFFECTS.items():
        without = [result.to_dict() for result in tiny.generate(SOURCES, **base)]
        assert [result.to_dict() for result in tiny.generate(SOURCES, **{**base, **change})] != without, name


# Those whose values are typed as they are; a new option is typed here as soon as it has its case above.
TYPED = {
    name: {**base, **change}
    for name, (base, change) in EFFECTS.items()
    if name != "return_scores"  # --json shows them anyway
    and all(isinstance(value, int | float | str) for value in (*base.values(), *change.values()))
}


@pytest.mark.parametrize("options", TYPED.values(), ids=TYPED)
def test_typed_options_do_what_they_do_in_python(tiny: Model, options: dict[str, Any]) -> None:
    """Each by its declared flag: with --json the command writes exactly what `generate` gives."""
    typed: list[str] = []
    for name, value in options.items():
        flags = declared(DecodingOptions)[name].option.flags or [f"--{name.replace('_', '-')}"]
        if name != "return_scores":
            typed += [flags[0]] if value is True else [flags[0], str(value)]
    found = CliRunner().invoke(decode.app, [TINY, *SOURCES, "--json", *typed])
    assert found.stderr == ""
    results = tiny.generate(SOURCES, **{"return_scores": True, **options})
    expected = [{"text": text, **result.to_dict()} for text, result in zip(SOURCES, results, strict=True)]
    assert [json.loads(line) for line in found.stdout.splitlines()] == json.loads(json.dumps(expected))


def test_batch_options_decide_how_many_rows_run_together(random_model: Callable[..., Model]) -> None:
    """max_batch_size counts sentences, or sentences times the longest source; long ones come first."""
    model = random_model(0, 5)
    seen: list[tuple[int, ...]] = []
    encode = model._steps.encode
    model._steps.encode = lambda source: (seen.append(source.shape), encode(source))[1]
    sources = [[1] * length for length in (2, 5, 1, 3)]
    model.generate(sources, max_batch_size=3)
    model.generate(sources, max_batch_size=6, batch_by="tokens")
    assert seen == [(3, 5), (1, 1), (1, 5), (2, 3), (1, 1)]


def test_min_and_max_length_bound_the_tokens(tiny: Model) -> None:
    """At least min_length tokens stand before an end; at most max_length, the end token counted."""
    for beam_size in (1, 3):
        for result in tiny.generate(SOURCES, beam_size=beam_size, min_length=4, max_length=6, return_end_token=True):
            best = result.hypotheses[0]
            assert 5 <= len(best.ids) <= 6
            assert (best.finish_reason == "end") == (best.ids[-1] == 1)
            assert 1 not in best.ids[:4]


def test_max_length_ratio_counts_source_tokens(tiny: Model) -> None:
    """A * length + b, of each source, the source's end token counted, capped by max_length; at least 1."""
    options = {"end_tokens": [], "max_length_ratio": (2.0, 1.0)}
    assert [len(r.ids) for r in tiny.generate(["a", "ab"], **options, max_length=100)] == [5, 7]
    assert [len(r.ids) for r in tiny.generate(["a", "ab"], **options, max_length=6, beam_size=2)] == [5, 6]
    assert len(tiny.generate(["a"], end_tokens=[], max_length_ratio=0)[0].ids) == 1


def test_prefix_is_forced_and_part_of_the_result(tiny: Model) -> None:
    """Per sentence, text or ids, None for none; scored as score() would."""
    for beam_size in (1, 3):
        results = tiny.generate(
            ["abc", "abc", "e"], prefix=["EE", None, [5]], beam_size=beam_size, return_token_scores=True
        )
        assert results[0].text.startswith("EE")
        assert results[1].text == tiny.generate(["abc"], beam_size=beam_size)[0].text
        assert results[2].text.startswith("C")
        for source, result in zip(["abc", "abc", "e"], results, strict=True):
            assert result.score == pytest.approx(tiny.score([source], [result.ids])[0].score, abs=1e-4)


def test_unknown_tokens_are_replaced_by_what_they_attend_to(tiny: Model) -> None:
    """The source token of most attention, or its entry in the table; ids stay."""
    options = {"suppress_tokens": list("ABCDE"), "replace_unknown": True}
    [result] = tiny.generate(["abc"], **options)
    assert result.ids == [2, 2, 2]
    assert result.tokens == ["a", "b", "c"]
    assert result.text == "abc"
    [mapped] = tiny.generate(["abc"], **options, phrase_table={"b": "-beta-"}, beam_size=2)
    assert mapped.text == "a-beta-c"


def test_alternatives_differ_in_the_next_token(tiny: Model) -> None:
    """The likeliest tokens at the place after the prefix, in that order, each continued to its best end."""
    [result] = tiny.generate(
        ["abcd"], prefix=["B"], return_alternatives=True, num_hypotheses=3, beam_size=2, return_scores=True
    )
    firsts = [h.text[:2] for h in result.hypotheses]
    assert len(set(firsts)) == 3
    assert all(text.startswith("B") for text in firsts)
    following = [tiny.score(["abcd"], [h.ids])[0].token_scores[1] for h in result.hypotheses]
    assert following == sorted(following, reverse=True)
    assert result.hypotheses[0].score == pytest.approx(tiny.score(["abcd"], [result.ids])[0].score, abs=1e-4)
    [likely] = tiny.generate(
        ["abcd"], prefix=["B"], return_alternatives=True, num_hypotheses=3, min_alternative_probability=0.99
    )
    assert (likely.text, likely.hypotheses[0].finish_reason, likely.score) == ("B", "stopped", None)
    assert likely.source_tokens == result.source_tokens


def test_a_prefix_ends_where_the_call_says(tiny: Model) -> None:
    """With other end tokens the bundle's own is a token like any other."""
    [result] = tiny.generate(["abc"], prefix=[["A", "</s>", "B"]], end_tokens=["E"])
    assert result.ids[:3] == [3, 1, 4]


def test_an_alternative_may_be_the_end(tiny: Model) -> None:
    """Where the end token is among the likeliest, that alternative ends there."""
    [result] = tiny.generate(["a"], prefix=["A"], return_alternatives=True, num_hypotheses=2, beam_size=2)
    assert "A" in [h.text for h in result.hypotheses]


def test_callback_sees_every_token_and_may_stop(tiny: Model) -> None:
    """Events come in order per sentence; True stops that sentence, and only that."""
    events: list[TokenEvent] = []
    results = tiny.generate(["abc", "de"], callback=events.append, return_scores=True)
    for place, result in enumerate(results):
        own = [event for event in events if event.sentence == place]
        assert [event.token for event in own] == [*result.tokens, "</s>"]
        assert [event.step for event in own] == list(range(len(own)))
        assert [event.is_last for event in own] == [False] * (len(own) - 1) + [True]
        assert sum(event.log_probability for event in own) == pytest.approx(result.score * len(own), abs=1e-4)
    stopped = tiny.generate(["abc", "de"], callback=lambda event: event.sentence == 0 and event.step == 1)
    assert (len(stopped[0].ids), stopped[0].hypotheses[0].finish_reason) == (2, "stopped")
    assert stopped[1].ids == results[1].ids


def test_several_end_tokens(tiny: Model) -> None:
    """Any of them ends; hypotheses that differ only in which are one."""
    options = {"end_tokens": ["</s>", "D"], "beam_size": 4, "num_hypotheses": 4, "return_end_token": True}
    for result in tiny.generate(SOURCES, **options):
        assert all(h.ids[-1] in (1, 6) for h in result.hypotheses if h.finish_reason == "end")
        bare = [tuple(h.ids[:-1]) if h.finish_reason == "end" else tuple(h.ids) for h in result.hypotheses]
        assert len(set(bare)) == len(bare)


def test_coverage_penalty_follows_its_definition(tiny: Model) -> None:
    """B * sum over the source of log(min(attention received, 1)), the end token's attention counted."""
    options = {"beam_size": 1, "return_attention": True, "return_end_token": True, "return_scores": True}
    [plain] = tiny.generate(["abc"], **options)
    [scored] = tiny.score(["abc"], [plain.ids], coverage_penalty=0.3)
    covered = np.log(np.minimum(plain.hypotheses[0].attention.sum(axis=0), 1)).sum()
    assert scored.score == pytest.approx(plain.score + 0.3 * covered, abs=1e-4)

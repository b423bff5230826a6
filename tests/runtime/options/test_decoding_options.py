"""Decoding options: what each does, and that each does something."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from places import FIXTURES
from typer.testing import CliRunner

from s2s_runtime import DecodingOptions, Model, OptionError, TokenEvent
from s2s_runtime.commands import decode
from s2s_runtime.declared_options import declared
from s2s_runtime.errors import UnknownOptionError

TINY = str(FIXTURES / "tiny.s2s")
SOURCES = ["abcab", "edc", "aaaaaa", "dcbe"]
EFFECTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "beam_size": ({}, {"beam_size": 4}),
    "num_hypotheses": ({"beam_size": 4}, {"num_hypotheses": 3}),
    "patience": (
        {"beam_size": 6, "num_hypotheses": 3, "length_penalty": 0, "end_tokens": ["</s>", "C", "D"]},
        {"patience": 2.0},
    ),
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
    "seed": ({"sampling_temperature": 5.0, "seed": 1}, {"seed": 2}),
    "allowed_next": ({}, {"allowed_next": lambda step, tokens: [3, 4] if step < 3 else [1]}),
    "allowed_sequences": ({}, {"allowed_sequences": ["BAD", "DEAD"]}),
    "min_bayes_risk": ({"beam_size": 8, "num_hypotheses": 8}, {"min_bayes_risk": "edit_distance"}),
    "logits_processor": ({}, {"logits_processor": lambda ids, logits: -logits}),
    "required_phrases": ({"beam_size": 2}, {"required_phrases": ["EE"]}),
    "bias": ({}, {"bias": {"EE": 30.0}}),
    "lexicon": ({}, {"lexicon": {"edc": "A"}}),
    "lexicon_use": ({"lexicon": {"edc": "A"}, "beam_size": 2, "num_hypotheses": 2}, {"lexicon_use": "merge"}),
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


def test_no_ngram_repeats(tiny: Model) -> None:
    """With size 2 no pair of tokens occurs twice, except those that hold an excluded token."""
    for beam_size in (1, 4):
        [result] = tiny.generate(["abababab"], beam_size=beam_size, no_repeat_ngram_size=2, min_length=8)
        pairs = list(zip(result.ids, result.ids[1:], strict=False))
        assert len(pairs) == len(set(pairs))


def test_repetition_penalty_follows_its_definition(random_model: Callable[..., Model]) -> None:
    """Logits of tokens seen before are divided where positive, multiplied where negative, before the softmax."""
    model = random_model(5, 6, max_length=2)
    logits = model._steps.logits
    [result] = model.generate([[2]], repetition_penalty=2.0, suppress_tokens=[0], return_token_scores=True)
    first = result.ids[0]
    changed = logits(np.array([[2]]), np.array([[first]]))[0].copy()
    changed[first] = changed[first] / 2 if changed[first] > 0 else changed[first] * 2
    expected = changed[result.ids[1]] - np.logaddexp.reduce(changed)
    assert result.hypotheses[0].token_scores[1] == pytest.approx(expected, abs=1e-5)


def test_suppressed_tokens_and_sequences_never_occur(tiny: Model) -> None:
    """Whatever the search; ids or symbols."""
    options = {"suppress_tokens": ["B"], "suppress_sequences": [[3, "C"], ["D", "D"]]}
    for beam_size in (1, 4):
        for result in tiny.generate(SOURCES, beam_size=beam_size, num_hypotheses=beam_size, **options):
            for hypothesis in result.hypotheses:
                text = hypothesis.text
                assert not any(never in text for never in ("B", "AC", "DD"))


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


def test_prefix_overrules_masks(tiny: Model) -> None:
    """A forced token may be one that could not be generated."""
    [result] = tiny.generate(["abc"], prefix=["B"], suppress_tokens=["B"])
    assert result.text[0] == "B"
    assert "B" not in result.text[1:]


def test_sampling_depends_on_the_seed_only(tiny: Model) -> None:
    """Same seed, same samples, whatever else is in the batch; other seeds, others; samples are ranked and distinct."""
    options = {"sampling_temperature": 2.0, "num_hypotheses": 4}
    together = tiny.generate(["abcde", "cde", "a"], seed=7, **options)
    [alone] = tiny.generate(["cde"], seed=7, **options)
    assert [h.ids for h in alone.hypotheses] == [h.ids for h in together[1].hypotheses]
    [other] = tiny.generate(["cde"], seed=8, **options)
    assert [h.ids for h in alone.hypotheses] != [h.ids for h in other.hypotheses]
    scores = [h.score for h in alone.hypotheses]
    assert scores == sorted(scores, reverse=True)
    assert len({h.text for h in alone.hypotheses}) == len(alone.hypotheses)


def test_sampling_draws_from_the_softmax(table_model: Callable[..., Model]) -> None:
    """Over many samples the frequencies are the probabilities; temperature, top-k and top-p change them as defined."""
    model = table_model(6, {(): {1: 0.5, 2: 0.3, 3: 0.15, 0: 0.05}}, max_length=1)

    def frequencies(**options: Any) -> list[float]:
        sampler = model._steps
        from s2s_runtime.search.sampling import Sampler

        logits = np.repeat(sampler.logits(np.ones((1, 1)), np.zeros((1, 0), np.int64)), 4000, axis=0)
        generators = [np.random.default_rng([3, i]) for i in range(4000)]
        drawn = Sampler(**options).draw(logits.astype(np.float32), generators)
        return [float((drawn == token).mean()) for token in (1, 2, 3, 0)]

    assert frequencies() == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.03)
    assert frequencies(top_k=2) == pytest.approx([0.625, 0.375, 0, 0], abs=0.03)
    assert frequencies(top_p=0.6) == pytest.approx([0.625, 0.375, 0, 0], abs=0.03)
    assert frequencies(top_p=0.4) == [1, 0, 0, 0]
    flat = np.sqrt([0.5, 0.3, 0.15, 0.05])
    assert frequencies(temperature=2.0) == pytest.approx(flat / flat.sum(), abs=0.03)


def drawn_by_definition(
    probabilities: Mapping[int, float], temperature: float, top_k: int | None, top_p: float, min_p: float
) -> dict[int, float]:
    """Probability of each token that may be drawn, by the definitions alone, one after the other."""
    warm = {token: probability ** (1 / temperature) for token, probability in probabilities.items()}
    ranked = sorted(warm, key=lambda token: -warm[token])[:top_k]
    whole = sum(warm[token] for token in ranked)
    before = {token: sum(warm[other] for other in ranked[:rank]) / whole for rank, token in enumerate(ranked)}
    kept = [token for token in ranked if before[token] < top_p and warm[token] >= min_p * warm[ranked[0]]]
    return {token: warm[token] / sum(warm[other] for other in kept) for token in kept}


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
@pytest.mark.parametrize("top_k", [None, 3])
@pytest.mark.parametrize("top_p", [1.0, 0.75])
@pytest.mark.parametrize("min_p", [0.0, 0.1, 0.35, 0.7, 1.0])
def test_min_p_keeps_a_share_of_the_likeliest(
    temperature: float, top_k: int | None, top_p: float, min_p: float
) -> None:
    """Over a grid of numbers drawn, each token comes as often as temperature, top-k, top-p, min-p in that order say."""
    from s2s_runtime.search.sampling import Sampler

    class At:
        def __init__(self, number: float) -> None:
            self.number = number

        def random(self, dtype: type[np.float32]) -> np.float32:
            return dtype(self.number)

    probabilities, points = {4: 0.41, 2: 0.26, 0: 0.19, 1: 0.09, 3: 0.05}, 2000
    logits = np.log(np.array([[probabilities[token] for token in range(5)]], np.float32)) - 3
    sampler = Sampler(temperature, top_k, top_p, min_p)
    drawn = sampler.draw(np.repeat(logits, points, axis=0), [At((i + 0.5) / points) for i in range(points)])
    expected = drawn_by_definition(probabilities, temperature, top_k, top_p, min_p)
    assert set(drawn.tolist()) == set(expected)
    for token, probability in expected.items():
        assert (drawn == token).mean() == pytest.approx(probability, abs=1.5 / points)


def typical_by_definition(probabilities: Mapping[int, float], mass: float, epsilon: float) -> dict[int, float]:
    """Probability of each token, by the definitions of typical sampling and then of epsilon sampling."""
    entropy = -sum(p * np.log(p) for p in probabilities.values())
    ranked = sorted(probabilities, key=lambda token: abs(-np.log(probabilities[token]) - entropy))
    kept, reached = [], 0.0
    for token in ranked:
        kept.append(token)
        reached += probabilities[token]
        if reached >= mass:
            break
    whole = sum(probabilities[token] for token in kept)
    likeliest = max(kept, key=lambda token: probabilities[token])
    kept = [token for token in kept if probabilities[token] / whole >= epsilon] or [likeliest]
    return {token: probabilities[token] / sum(probabilities[other] for other in kept) for token in kept}


@pytest.mark.parametrize("temperature", [0.7, 1.0, 3.0])
@pytest.mark.parametrize("top_k", [None, 3])
@pytest.mark.parametrize("mass", [1.0, 0.9, 0.5, 0.2])
@pytest.mark.parametrize("epsilon", [0.0, 0.12, 0.3, 0.9])
def test_typical_and_epsilon_follow_their_definitions(
    temperature: float, top_k: int | None, mass: float, epsilon: float
) -> None:
    """Over a grid of numbers drawn, each token comes as often as temperature, top-k, typical, epsilon in order say."""
    from s2s_runtime.search.sampling import Sampler

    class At:
        def __init__(self, number: float) -> None:
            self.number = number

        def random(self, dtype: type[np.float32]) -> np.float32:
            return dtype(self.number)

    probabilities, points = {4: 0.47, 2: 0.24, 0: 0.17, 1: 0.08, 3: 0.04}, 2000
    logits = np.log(np.array([[probabilities[token] for token in range(5)]], np.float32)) + 2
    sampler = Sampler(temperature, top_k, typical_p=mass, epsilon=epsilon)
    drawn = sampler.draw(np.repeat(logits, points, axis=0), [At((i + 0.5) / points) for i in range(points)])
    expected = typical_by_definition(drawn_by_definition(probabilities, temperature, top_k, 1.0, 0.0), mass, epsilon)
    assert set(drawn.tolist()) == set(expected)
    for token, probability in expected.items():
        assert (drawn == token).mean() == pytest.approx(probability, abs=1.5 / points)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampling_typical_p": 0}, "sampling_typical_p: expected a number above 0 and at most 1, got 0"),
        ({"sampling_epsilon": 1.0}, "sampling_epsilon: expected a number above 0 and below 1, got 1.0"),
        ({"sampling_epsilon": 0.1, "beam_size": 2}, "sampling_epsilon: needs beam_size 1, got beam_size 2"),
    ],
)
def test_shares_out_of_range_are_named(tiny: Model, options: dict[str, Any], message: str) -> None:
    """As every option: what it got and what is allowed."""
    with pytest.raises(OptionError) as caught:
        tiny.generate(SOURCES, **options)
    assert message in str(caught.value)


def test_min_p_over_whole_sequences(table_model: Callable[..., Model]) -> None:
    """Every sequence comes as often as the product of its steps says, the bound being that of each step anew."""
    table = {
        (): {2: 0.5, 3: 0.3, 4: 0.2},
        (2,): {2: 0.2, 3: 0.2, 4: 0.6},
        (3,): {2: 0.35, 3: 0.3, 4: 0.35},
        (4,): {2: 1.0},
    }
    model = table_model(6, table, max_length=2, end_ids=())
    options = {"sampling_temperature": 1.5, "sampling_min_p": 0.55}
    expected = {
        (first, second): one * other
        for first, one in drawn_by_definition(table[()], 1.5, None, 1.0, 0.55).items()
        for second, other in drawn_by_definition(table[(first,)], 1.5, None, 1.0, 0.55).items()
    }
    assert 1 < len(expected) < 7  # some of the seven that can be written are out
    found = Counter(tuple(model.generate([[1]], seed=seed, **options)[0].ids) for seed in range(1000))
    assert set(found) == set(expected)
    for sequence, probability in expected.items():
        assert found[sequence] / 1000 == pytest.approx(probability, abs=0.04)


def test_min_p_draws_by_the_seed_whatever_is_beside(tiny: Model) -> None:
    """Same seed, same samples alone and in any batch; a min-p of 1 leaves the likeliest token alone."""
    options = {"sampling_temperature": 3.0, "sampling_min_p": 0.2, "num_hypotheses": 4, "seed": 7}
    together = tiny.generate(["abcde", "cde", "a"], **options)
    [alone] = tiny.generate(["cde"], **options)
    assert [each.ids for each in alone.hypotheses] == [each.ids for each in together[1].hypotheses]
    assert len(alone.hypotheses) > 1
    expected = [result.ids for result in tiny.generate(SOURCES)]
    assert [result.ids for result in tiny.generate(SOURCES, sampling_min_p=1, sampling_temperature=9)] == expected


@pytest.mark.parametrize("value", [0, 1.5, float("nan"), "0.1"])
def test_a_min_p_out_of_range_is_named(tiny: Model, value: object) -> None:
    """Above 0 and at most 1; another library's name for it is answered by ours."""
    with pytest.raises(OptionError, match="sampling_min_p: expected a number above 0 and at most 1, got"):
        tiny.generate(SOURCES, sampling_min_p=value)
    with pytest.raises(UnknownOptionError, match="what Hugging Face calls min_p is sampling_min_p here"):
        tiny.generate(SOURCES, min_p=0.1)


def test_top_k_of_one_is_greedy(tiny: Model) -> None:
    """Sampling among one token takes the likeliest."""
    expected = [result.ids for result in tiny.generate(SOURCES)]
    assert [result.ids for result in tiny.generate(SOURCES, sampling_top_k=1)] == expected


def test_allowed_next_keeps_to_a_lexicon(tiny: Model) -> None:
    """A trie: only words of a list come out, greedy and beam; a mask works like ids."""
    words = ["ABC", "ACE", "BAD", "DEAD", "EBB"]
    symbols = tiny.target_vocabulary.symbols

    def allowed(step: int, tokens: list[int]) -> list[int]:
        written = "".join(symbols[token] for token in tokens)
        assert step == len(tokens)
        following = {symbols.index(word[step]) for word in words if word.startswith(written) and len(word) > step}
        return [*following, *([1] if written in words else [])]

    def mask(step: int, tokens: list[int]) -> np.ndarray:
        return np.isin(np.arange(8), allowed(step, tokens))

    for beam_size in (1, 4):
        results = tiny.generate(SOURCES, allowed_next=allowed, beam_size=beam_size)
        assert all(result.text in words for result in results)
        assert [r.ids for r in tiny.generate(SOURCES, allowed_next=mask, beam_size=beam_size)] == [
            r.ids for r in results
        ]


def test_a_sequence_after_which_nothing_is_allowed_stops(tiny: Model) -> None:
    """What was written stands, with reason stopped, and its score is score()'s."""
    for beam_size in (1, 3):
        results = tiny.generate(
            ["abcd", "ab"],
            allowed_next=lambda step, tokens: [3, 4] if step < 2 else [],
            beam_size=beam_size,
            return_scores=True,
        )
        for source, result in zip(["abcd", "ab"], results, strict=True):
            assert len(result.ids) == 2
            assert result.hypotheses[0].finish_reason == "stopped"
            [forced] = tiny.score([source], [result.ids], add_end=False)
            assert result.score == pytest.approx(forced.score, abs=1e-4)
    [nothing] = tiny.generate(["a"], allowed_next=lambda step, tokens: [], return_scores=True)
    assert (nothing.ids, nothing.score) == ([], 0.0)


def test_unknown_tokens_are_replaced_by_what_they_attend_to(tiny: Model) -> None:
    """The source token of most attention, or its entry in the table; ids stay."""
    options = {"suppress_tokens": list("ABCDE"), "replace_unknown": True}
    [result] = tiny.generate(["abc"], **options)
    assert result.ids == [2, 2, 2]
    assert result.tokens == ["a", "b", "c"]
    assert result.text == "abc"
    [mapped] = tiny.generate(["abc"], **options, phrase_table={"b": "-beta-"}, beam_size=2)
    assert mapped.text == "a-beta-c"


def test_unknown_tokens_are_masked_unless_allowed(tiny: Model) -> None:
    """The unknown token comes out only with allow_unknown."""
    options = {"suppress_tokens": list("ABCDE")}
    assert tiny.generate(["abc"], **options)[0].ids == []
    assert tiny.generate(["abc"], **options, allow_unknown=True)[0].tokens == ["<unk>"] * 3


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

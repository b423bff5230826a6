"""Which pairs fit into what a model of one pass gives."""

import logging

import pytest

from s2s_training.data.corpus import Corpus, Example
from s2s_training.data.datasets import default_config
from s2s_training.data.fitting_pairs import that_fit, with_frames
from s2s_training.data.vocabulary_builder import build_vocabulary
from s2s_training.errors import DataError


def fitting(pairs, **options):
    """The training sources that are left, and the frames of a symbol."""
    examples = [Example(source, (target,)) for source, target in pairs]
    config = default_config("pairs.tsv").override(**options)
    corpus = Corpus(examples, examples)
    vocabulary = build_vocabulary(corpus, config)
    model = with_frames(config.model, corpus, vocabulary)
    return [example.source for example in that_fit(corpus, vocabulary, model).train], model.upsample


def test_a_tagger_learns_no_target_longer_than_its_source(caplog):
    """One as long or shorter is learned; the warning names one that isn't."""
    pairs = [("abc", "xyz"), ("ab", "xyz"), ("abcd", "x")]
    with caplog.at_level(logging.WARNING):
        assert fitting(pairs, kind="same-length")[0] == ["abc", "abcd"]
    assert "left out 2 of 6 pairs, whose targets don't fit into one for each source symbol, such as 'ab'" in caplog.text
    with pytest.raises(DataError, match=r"no target has at most as many symbols as its source, such as 'a' \(1 symb"):
        fitting([("a", "xy")], kind="same-length")


def test_ctc_needs_a_blank_between_equal_neighbours():
    """As many frames as let all targets fit are given, or those that don't fit go."""
    pairs = [("abc", "xyz"), ("abc", "xxy"), ("abc", "xxyy")]
    assert fitting(pairs, kind="ctc", upsample=1)[0] == ["abc"]
    assert fitting(pairs, kind="ctc") == (["abc"] * 3, 2)
    with pytest.raises(DataError, match=r"no target fits into 1 frames for each symbol of its source.*raise upsample"):
        fitting(pairs[1:], kind="ctc", upsample=1)


def test_a_tagger_has_an_end_only_where_a_target_is_shorter():
    """Tags of every word need no symbol that says that there are no more; CTC has a blank in the first place."""
    config = default_config("pairs.tsv").override(kind="same-length")
    whole, shorter = (Corpus([Example("ab", (target,))], []) for target in ("xy", "x"))
    assert build_vocabulary(whole, config).target.end is None
    assert build_vocabulary(shorter, config).target.end == "</s>"
    ctc = build_vocabulary(whole, default_config("pairs.tsv").override(kind="ctc"))
    assert (ctc.target.symbols[0], ctc.target.padding, ctc.max_length) == ("<blank>", None, None)

"""Which pairs are too long to be trained on."""

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2s_training.config.data import DataConfig
from s2s_training.data.corpus import Corpus, Example
from s2s_training.data.lengths import LEAST, within_lengths
from s2s_training.errors import DataError

DATA = DataConfig(data="x")


def measure(examples):
    """Characters."""
    return [len(example.source) for example in examples], [len(example.targets[0]) for example in examples]


def pairs(*lengths):
    return [Example("s" * source, ("t" * target,)) for source, target in lengths]


def test_one_outlier_among_many_is_left_out_and_named(caplog):
    """The issue's case: 20,000 characters among 300 pairs; the warning counts it, shows it, and says what keeps it."""
    corpus = Corpus(pairs(*[(12, 10)] * 299, (20_000, 5)), pairs((9, 9), (8, 30_000)))
    kept = within_lengths(corpus, DATA, measure)
    assert (len(kept.train), kept.valid) == (299, corpus.valid[:1])
    assert caplog.messages == [
        "left out 2 of 302 pairs, far longer than the others: a source of 20,000 symbols "
        f"('{'s' * 30}...'), a target of 30,000 symbols ('{'t' * 30}...'); 95% of sources have at most 12 and 95% of "
        "targets have at most 10; to keep them give --max-source-length 20000 --max-target-length 30000"
    ]
    assert caplog.records[0].levelno == logging.WARNING
    limited = DataConfig(data="x", max_source_length=20_000, max_target_length=30_000)
    assert within_lengths(corpus, limited, measure) == corpus


def test_many_outliers_are_counted_and_the_first_named(caplog):
    """Up to one pair in twenty."""
    corpus = Corpus(pairs(*[(12, 10)] * 96, *[(5000 + i, 5) for i in range(4)]), pairs((9, 9)))
    assert len(within_lengths(corpus, DATA, measure).train) == 96
    assert "left out 4 of 101 pairs" in caplog.text
    assert "a source of 5,002 symbols ('" in caplog.text
    assert ", 1 more; 95%" in caplog.text


@given(st.lists(st.integers(1, LEAST), min_size=1, max_size=50))
def test_nothing_short_is_an_outlier(lengths):
    """However the lengths are distributed."""
    corpus = Corpus(pairs(*zip(lengths, lengths, strict=True)), [])
    assert within_lengths(corpus, DATA, measure) == corpus


@pytest.mark.parametrize("deviation", [0.3, 0.5, 0.8])
def test_lengths_of_sentences_have_no_outliers(deviation):
    """Of a hundred thousand lengths distributed as those of sentences are."""
    lengths = np.exp(np.random.default_rng(1).normal(np.log(30), deviation, 100_000)).astype(int) + 1
    examples = pairs((1, 1)) * len(lengths)
    corpus = Corpus(examples, [])
    assert within_lengths(corpus, DATA, lambda part: (lengths[: len(part)], lengths[: len(part)])) == corpus


def test_given_limits_hold_for_training_pairs_alone(caplog):
    """What is held out tells how good the model is on all texts; how many are left out is told."""
    caplog.set_level(logging.INFO)
    corpus = Corpus(pairs((3, 3), (9, 3), (3, 9)), pairs((9, 9)))
    kept = within_lengths(corpus, DataConfig(data="x", max_source_length=5, max_target_length=5), measure)
    assert (kept.train, kept.valid) == (corpus.train[:1], corpus.valid)
    assert caplog.messages == ["2 of 3 training pairs are longer than the limits given"]
    with pytest.raises(DataError, match="no training pair has at most 2 source and inf target symbols"):
        within_lengths(corpus, DataConfig(data="x", max_source_length=2), measure)

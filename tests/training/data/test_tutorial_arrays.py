"""The arrays of the published character translator, built here as its script does, against those trained on."""

import numpy as np
import pytest

from s2s_training.data.arrays import BucketedPairs, Layout, encode_pairs
from s2s_training.data.corpus import Example, split_corpus
from s2s_training.data.datasets import tutorial_config
from s2s_training.data.pair_files import read_tsv
from s2s_training.data.vocabulary_builder import build_vocabulary

pytestmark = pytest.mark.tensorflow

PAIRS = [("Go on.", "Va-y !"), ("Hi.", "Salut !"), ("Run!", "Cours !"), ("No.", "Non, merci."), ("Ah", "Ah")]


def published(pairs, padding):
    """Encoder input, decoder input and decoder target (pairs, time, characters), character by character."""
    sources, targets = [source for source, _ in pairs], ["\t" + target + "\n" for _, target in pairs]
    source_index, target_index = (
        {c: i for i, c in enumerate(sorted(set("".join(texts))))} for texts in (sources, targets)
    )
    longest_source, longest_target = max(map(len, sources)), max(map(len, targets))
    encoder_input = np.zeros((len(pairs), longest_source, len(source_index)), np.float32)
    decoder_input = np.zeros((len(pairs), longest_target, len(target_index)), np.float32)
    decoder_target = np.zeros_like(decoder_input)
    for i, (source, target) in enumerate(zip(sources, targets, strict=True)):
        for t, char in enumerate(source):
            encoder_input[i, t, source_index[char]] = 1
        for t, char in enumerate(target):
            decoder_input[i, t, target_index[char]] = 1
            if t:
                decoder_target[i, t - 1, target_index[char]] = 1
        if padding == "space":
            encoder_input[i, len(source) :, source_index[" "]] = 1
            decoder_input[i, len(target) :, target_index[" "]] = 1
            decoder_target[i, len(target) - 1 :, target_index[" "]] = 1
    return encoder_input, decoder_input, decoder_target


def trained_on(examples, padding):
    """The same three arrays as the pipeline gives them, rows in order."""
    from s2s_training.data.tf_datasets import make_dataset

    config = tutorial_config("x").override(padding=padding)
    vocabulary = build_vocabulary(split_corpus(examples, "last", 0.2, 0.0), config)
    layout = Layout.of(vocabulary, config.model)
    pairs = BucketedPairs(encode_pairs(examples, vocabulary), layout, config.fit.buckets, len(examples))
    ((source, target), labels, weights) = next(iter(make_dataset(pairs, layout)))
    one_hot = np.eye(layout.target_size, dtype=np.float32)[labels.numpy()] * weights.numpy()[..., None]
    return source.numpy(), target.numpy(), one_hot


@pytest.mark.parametrize("padding", ["space", "zeros"])
def test_arrays_are_the_published_ones(padding):
    """Encoder input, decoder input and decoder target are equal bit by bit, with either kind of padding."""
    arrays = trained_on([Example(source, (target,)) for source, target in PAIRS], padding)
    for own, expected in zip(arrays, published(PAIRS, padding), strict=True):
        np.testing.assert_array_equal(own, expected)


def test_arrays_of_the_real_pairs_have_the_published_shapes(shared_data):
    """The first 10,000 rows: 71 and 92 characters, longest source 16, longest target 59."""
    examples = list(read_tsv(shared_data / "fra.txt", 10_000))
    config = tutorial_config("fra.txt")
    vocabulary = build_vocabulary(split_corpus(examples, "last", 0.2, 0.0), config)
    assert (len(vocabulary.source), len(vocabulary.target)) == (71, 92)
    assert (vocabulary.padding.length, vocabulary.max_length) == (16, 59)
    some = examples[::100]
    layout = Layout.of(vocabulary, config.model)
    source, target = next(BucketedPairs(encode_pairs(some, vocabulary), layout, 1, 100).batches())
    assert (source.shape, target.shape) == ((100, 16), (100, 60))

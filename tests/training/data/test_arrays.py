from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import IDS

from s2s_training.data.arrays import BucketedPairs, EncodedPairs, pad

FREE = replace(IDS, target_size=9)


def test_padding_fills_either_side():
    """Ids stand at the start or at the end, the padding id elsewhere."""
    assert pad([[1, 2], [3]], -1, 3).tolist() == [[1, 2, -1], [3, -1, -1]]
    assert pad([[1, 2], [3]], 7, 3, "left").tolist() == [[7, 1, 2], [7, 7, 3]]
    assert pad([[1, 2], []], 0).tolist() == [[1, 2], [0, 0]]


rows = st.lists(
    st.tuples(st.lists(st.integers(1, 8), min_size=1, max_size=9), st.lists(st.integers(1, 8), min_size=2, max_size=9)),
    min_size=1,
    max_size=40,
)


@given(rows, st.integers(1, 6), st.integers(1, 7), st.booleans())
def test_an_epoch_holds_every_pair_once_padded_only_to_its_batch(pairs, buckets, batch_size, shuffle):
    """No pair is lost or seen twice, whatever the buckets; a batch is as long as its longest row."""
    bucketed = BucketedPairs(EncodedPairs(*map(list, zip(*pairs, strict=True))), FREE, buckets, batch_size)
    batches = list(bucketed.batches(np.random.default_rng(1) if shuffle else None))
    assert len(batches) == bucketed.steps
    seen = Counter()
    for source, target in batches:
        assert len(source) == len(target) <= batch_size
        assert source[:, -1].any()
        assert target[:, -1].any()
        seen.update((tuple(s[s > 0]), tuple(t[t > 0])) for s, t in zip(source, target, strict=True))
    assert seen == Counter((tuple(source), tuple(target)) for source, target in pairs)


def test_buckets_separate_lengths():
    """Two lengths, two buckets: no batch mixes them, so nothing is padded."""
    pairs = EncodedPairs([[1], [1, 2, 3]] * 10, [[2, 3], [2, 4, 5, 3]] * 10)
    bucketed = BucketedPairs(pairs, FREE, buckets=2, batch_size=4)
    assert sorted(map(len, bucketed.buckets)) == [10, 10]
    assert all((source != 0).all() and (target != 0).all() for source, target in bucketed.batches())


def test_batches_are_shuffled_by_the_generator_alone():
    """Same generator, same order; without one, the order given."""
    pairs = EncodedPairs([[i + 1] for i in range(8)], [[1, i + 1] for i in range(8)])
    bucketed = BucketedPairs(pairs, FREE, buckets=1, batch_size=3)

    def order(generator):
        return [source[:, 0].tolist() for source, _ in bucketed.batches(generator)]

    assert order(None) == [[1, 2, 3], [4, 5, 6], [7, 8]]
    assert order(np.random.default_rng(3)) == order(np.random.default_rng(3)) != order(np.random.default_rng(4))


@pytest.mark.tensorflow
def test_labels_are_the_decoder_input_one_step_later():
    """Weights count exactly the real labels."""
    from s2s_training.data.tf_datasets import make_dataset

    pairs = EncodedPairs([[5, 6], [7]], [[2, 4, 5, 3], [2, 4, 3]])
    (source, target), labels, weights = next(iter(make_dataset(BucketedPairs(pairs, FREE, 1, 2), FREE)))
    assert source.numpy().tolist() == [[5, 6], [7, 0]]
    assert target.numpy().tolist() == [[2, 4, 5], [2, 4, 3]]
    assert labels.numpy().tolist() == [[4, 5, 3], [4, 3, 0]]
    assert weights.numpy().tolist() == [[1, 1, 1], [1, 1, 0]]


@pytest.mark.tensorflow
def test_the_order_of_an_epoch_depends_on_seed_and_epoch_alone():
    """A resumed run sees the batches that it would have seen."""
    from s2s_training.data.tf_datasets import EpochOrder, make_dataset

    pairs = EncodedPairs([[i] for i in range(1, 9)], [[2, i] for i in range(1, 9)])
    order = EpochOrder(seed=5)
    dataset = make_dataset(BucketedPairs(pairs, FREE, 1, 3), FREE, order)

    def epoch(number):
        order.epoch = number
        return [inputs[0].numpy().tolist() for inputs, _, _ in dataset]

    first, second = epoch(0), epoch(1)
    assert first != second
    assert (epoch(1), epoch(0)) == (second, first)

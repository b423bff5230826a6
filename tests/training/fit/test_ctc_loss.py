"""The loss of models trained with CTC."""

import itertools
import math

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow


def written(classes):
    """What an alignment says: equal neighbours are one, then blanks, class 0, go."""
    return tuple(symbol for symbol, _ in itertools.groupby(classes) if symbol)


def test_it_is_minus_the_log_of_the_sum_over_all_alignments_to_the_frames_that_count():
    """Enumerated for targets of different lengths, in rows of frames of which the last may be padding."""
    from s2s_training.fit.compiling import ConnectionistLoss

    logits = np.random.default_rng(0).normal(size=(3, 4, 3)).astype(np.float32)
    logs = logits - np.logaddexp.reduce(logits, axis=2, keepdims=True)
    frames, targets = [4, 3, 2], [(1, 1), (2, 1), (2,)]
    expected = [
        -math.log(
            sum(
                math.exp(sum(logs[row, frame, symbol] for frame, symbol in enumerate(classes)))
                for classes in itertools.product(range(3), repeat=frames[row])
                if written(classes) == target
            )
        )
        for row, target in enumerate(targets)
    ]
    labels = np.array(
        [[count, *target, *[0] * (2 - len(target))] for count, target in zip(frames, targets, strict=True)]
    )
    assert float(ConnectionistLoss()(labels, logits)) == pytest.approx(np.mean(expected), rel=1e-5)

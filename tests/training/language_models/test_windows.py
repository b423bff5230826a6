"""Windows of a text: everything is predicted once, from what it should be, whatever the rows."""

from itertools import pairwise

import numpy as np
import pytest

from s2s_training.language_models.id_files import Windows, write_ids

START, END = 1, 2


def lines(count, seed=0):
    """Lines of 1 to 9 symbols between start and end, all symbols of a line being its own number's."""
    rng = np.random.default_rng(seed)
    return [[START, *([3 + number] * int(rng.integers(1, 10))), END] for number in range(count)]


@pytest.mark.parametrize("rows", [1, 2, 7, 100])
@pytest.mark.parametrize("length", [1, 4, 50])
def test_whole_lines_are_predicted_once_from_their_beginning(rows, length, tmp_path):
    """Read row by row, windows give every line whole, in some order; the start is read and never predicted."""
    made = lines(20)
    files = write_ids(tmp_path, (("valid", ids) for ids in made), 99, dict.fromkeys(("train", "valid", "test"), 20))
    assert set(files) == {"valid"}
    windows = Windows(files["valid"], rows, rows, length, START, whole_lines=True)
    read = [[] for _ in range(rows)]
    steps = 0
    for step, (inputs, labels, weights, carried) in enumerate(windows.batches()):
        steps += 1
        assert inputs.shape == labels.shape == weights.shape == (rows, length)
        assert carried.tolist() == [[float(step > 0)]] * rows
        for row in range(rows):
            read[row] += zip(inputs[row].tolist(), labels[row].tolist(), weights[row].tolist(), strict=True)
    assert steps == windows.steps
    expected = sorted(pair for ids in made for pair in pairwise(ids))
    assert sorted((one, other) for row in read for one, other, weight in row if weight) == expected
    for row in read:  # whatever is predicted behind a start belongs to one line
        for (_, other, weight), (following, _, _) in pairwise(row):
            assert other == following or not weight


def test_an_order_of_blocks_moves_lines_and_loses_none(tmp_path):
    """In training each epoch has an order of its own; what is read is the lines in that order."""
    made = lines(11)
    files = write_ids(tmp_path, (("train", ids) for ids in made), 99, dict.fromkeys(("train", "valid", "test"), 11))
    order = np.random.default_rng(3).permutation(11)
    windows = Windows(files["train"], 1, 1, 6, None, whole_lines=False)
    pairs = [
        pair
        for inputs, labels, weights, _ in windows.batches(order)
        for *pair, weight in zip(inputs[0].tolist(), labels[0].tolist(), weights[0].tolist(), strict=True)
        if weight
    ]
    text = [symbol for block in order for symbol in made[block]]
    assert pairs == [list(pair) for pair in pairwise(text)]


@pytest.mark.parametrize(("symbols", "size"), [(1 << 16, 2), ((1 << 16) + 1, 4)])
def test_ids_are_as_small_as_they_can_be(symbols, size, tmp_path):
    """Two bytes where ids fit into them, else four; the largest comes back."""
    counts = dict.fromkeys(("train", "valid", "test"), 1)
    files = write_ids(tmp_path, [("train", [0, symbols - 1])], symbols, counts)
    assert files["train"].ids.tolist() == [0, symbols - 1]
    assert (tmp_path / "train.ids").stat().st_size == 2 * size

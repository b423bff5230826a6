"""How much verification tries: everything of a small model, less of a large one, and the report says so."""

import keras
import numpy as np
import pytest
from architectures.recurrent import gru_reset_after
from random_weights import randomise

from s2s_export import ExportOptions
from s2s_export.exporter import take_apart
from s2s_export.verify import coverage as covering
from s2s_export.verify import oracle as asked
from s2s_export.verify.coverage import Coverage, coverage
from s2s_export.verify.oracle import Oracle
from s2s_export.verify.samples import sentences

pytestmark = pytest.mark.tensorflow

OPTIONS = ExportOptions(start_id=1, end_ids=(2,), max_length=48)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A small model."""
    keras.utils.set_random_seed(3)
    made = gru_reset_after()
    randomise(made)
    return made


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (1.0, Coverage(24, 8, 48)),
        (0.5, Coverage(24, 8, 24, cut=True)),  # half as long takes less than half: a step reads what was written
        (0.1, Coverage(16, 5, 12, cut=True)),
        (0.0, Coverage(4, 2, 4, cut=True)),
    ],
)
def test_a_budget_takes_length_first(
    most: float, expected: Coverage, model: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Targets are cut to 12 steps before sources are left out; something is tried of the largest model."""
    _, _, facts = take_apart(model, OPTIONS)
    whole = covering._work(Coverage(24, 8, 48), covering._multiplied(model), covering.LONGEST_SOURCE)
    monkeypatch.setattr(covering, "_MOST_WORK", whole * most)
    covered = coverage(model, facts, OPTIONS)
    assert covered == expected
    assert ("verify_sources=24" in covered.in_words()) == expected.cut
    assert len(sentences(OPTIONS, facts, covered.sources)) == expected.sources


def test_who_asks_for_a_number_gets_it(model: keras.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large the model: a number of sources that was given, to their full length."""
    _, _, facts = take_apart(model, OPTIONS)
    monkeypatch.setattr(covering, "_MOST_WORK", 0)
    asking = ExportOptions(start_id=1, end_ids=(2,), max_length=48, verify_sources=24)
    assert coverage(model, facts, asking) == Coverage(24, 8, 48)


def test_tables_count_for_nothing(model: keras.Model) -> None:
    """A position is multiplied by every weight but those it looks up."""
    tables = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Embedding)]
    assert tables
    expected = model.count_params() - sum(table.count_params() for table in tables)
    assert covering._multiplied(model) == expected


def test_the_oracle_in_parts_is_the_oracle(model: keras.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch whose output would take too much memory is run in parts, with the same numbers."""
    model_, parts, facts = take_apart(model, OPTIONS)
    sources, prefixes = sentences(OPTIONS, facts, 5), [[3], [4, 5], [], [3, 3, 3], [6]]
    whole = Oracle(model_, parts, facts).log_probabilities(sources, prefixes)
    monkeypatch.setattr(asked, "_MOST_OUTPUT", 1)
    np.testing.assert_allclose(Oracle(model_, parts, facts).log_probabilities(sources, prefixes), whole, atol=1e-5)


def test_the_best_of_a_row_are_those_of_a_full_sort() -> None:
    """Ties included: of equal numbers the first come first."""
    rng = np.random.default_rng(0)
    for size in (1, 4, 9, 300):
        for row in rng.integers(0, 6, (20, size)).astype(np.float64):
            expected = np.argsort(-row, kind="stable")[:8]
            np.testing.assert_array_equal(asked._best(row, 8), expected)

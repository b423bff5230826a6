import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2s_runtime.error_rates import edit_distance, error_rates

words = st.text("abc", max_size=7)


def naive(first, second):
    """The definition, by recursion."""
    if not first or not second:
        return len(first) + len(second)
    return min(
        naive(first[1:], second) + 1,
        naive(first, second[1:]) + 1,
        naive(first[1:], second[1:]) + (first[0] != second[0]),
    )


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("abc", "abc", 0), ("ab", "ba", 2), ("", "", 0)],
)
def test_known_distances(first, second, distance):
    """Cases solved by hand."""
    assert edit_distance(first, second) == distance


@given(st.text("ab", max_size=5), st.text("ab", max_size=5))
def test_distance_is_that_of_the_definition(first, second):
    """The table agrees with the recursion."""
    assert edit_distance(first, second) == naive(first, second)


@given(words, words, words)
def test_distance_is_a_metric(a, b, c):
    """Zero for equals only, symmetric, and no detour is shorter."""
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, b) == edit_distance(b, a)
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)
    assert abs(len(a) - len(b)) <= edit_distance(a, b) <= max(len(a), len(b))


def test_rates_of_a_case_solved_by_hand():
    """Three words, one right: 3 edits over 2 + 3 + 4 reference tokens."""
    rates = error_rates([["K", "AE"], ["D", "AO", "G"], ["B"]], [[["K", "AE"]], [["D", "AA", "G"]], [list("BEES")]])
    assert rates.sequence_error_rate == pytest.approx(2 / 3)
    assert rates.sequence_accuracy == pytest.approx(1 / 3)
    assert rates.token_error_rate == pytest.approx(4 / 9)
    assert rates.sequences == 3


def test_any_reference_counts_and_the_nearest_one_measures():
    """Of several right targets the one with fewest edits is taken."""
    rates = error_rates([list("abx"), list("q")], [[list("zzzz"), list("abc")], [list("rst"), list("q")]])
    assert rates.sequence_error_rate == 0.5
    assert rates.token_error_rate == pytest.approx(1 / 4)


@pytest.mark.parametrize(("hypotheses", "references"), [([], []), (["a"], []), (["a"], [[]])])
def test_nothing_to_compare_is_an_error(hypotheses, references):
    """No rate is made up."""
    with pytest.raises(ValueError, match="expected as many hypotheses as sets of references"):
        error_rates(hypotheses, references)

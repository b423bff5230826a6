"""None of thousands of altered manifests and vocabularies is read as something else in silence."""

from __future__ import annotations

from altered_manifests import try_many
from hypothesis import given, settings
from hypothesis import strategies as st


@given(st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_an_alteration_is_one_error_or_no_matter(seed: int) -> None:
    """A manifest with its own digest is the one it was, or one error; anything else is one error at most."""
    outcomes = try_many(100, seed)
    assert outcomes.total() == 100
    assert outcomes["one error"] > 10

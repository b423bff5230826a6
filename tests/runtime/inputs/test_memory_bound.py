"""A long source isn't padded to by a batch of short ones: sentences times the longest stay below a bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2s_runtime import DecodingOptions, Model
from s2s_runtime.bundle.manifest import TensorSpec
from s2s_runtime.inputs.batches import make_batches
from s2s_runtime.inputs.memory_bound import BATCH_BYTES, bytes_of_a_token, most_tokens
from s2s_runtime.inputs.sources import read_sources


@given(
    lengths=st.lists(st.integers(0, 60), max_size=30),
    most=st.integers(1, 80),
    size=st.integers(1, 9),
    unit=st.sampled_from(["sentences", "tokens"]),
)
def test_no_batch_has_more_tokens_than_allowed(
    tiny: Model, lengths: list[int], most: int, size: int, unit: Any
) -> None:
    """But for a single source that is longer; every source is in one batch, none of more sentences than allowed."""
    options = DecodingOptions(
        max_batch_tokens=most, max_batch_size=size * (20 if unit == "tokens" else 1), batch_by=unit
    )
    sources = read_sources([[2] * length for length in lengths], tiny.manifest)
    batches = make_batches(sources, [[]] * len(lengths), options, tiny.manifest)
    placed = sorted(int(index) for batch in batches for index in batch.indices)
    assert placed == [i for i, length in enumerate(lengths) if length]
    for batch in batches:
        assert len(batch) == 1 or batch.source.size <= most
        assert len(batch) == 1 or (batch.source.size if unit == "tokens" else len(batch)) <= options.max_batch_size


def test_one_long_line_stands_by_itself(random_model: Callable[..., Model]) -> None:
    """By default, in a model of 256 numbers a state: the run with it has its tokens, not 64 times as many."""
    model = random_model(0, 5)
    model._manifest = replace(
        model.manifest,
        states=(TensorSpec("state.0", "float32", (None, 256)), TensorSpec("state.1", "float32", (None, 256))),
    )
    seen: list[tuple[int, ...]] = []
    encode = model._steps.encode
    model._steps.encode = lambda source: (seen.append(source.shape), encode(source))[1]
    sources = [[1] * length for length in (10, 10_000, *[12] * 62)]
    results = model.generate(sources, max_length=3)
    assert sum(rows for rows, _ in seen) == 64
    assert max(rows * time for rows, time in seen) * bytes_of_a_token(DecodingOptions(), model.manifest) <= BATCH_BYTES
    assert [result.ids for result in results[2:4]] == [r.ids for r in model.generate(sources[2:4], max_length=3)]


def test_the_estimate_counts_what_is_held(tiny: Model) -> None:
    """States, memory in each beam, attention that is kept; what is said explicitly is what holds."""
    plain, beams = DecodingOptions(), DecodingOptions(beam_size=5)
    assert bytes_of_a_token(beams, tiny.manifest) > bytes_of_a_token(plain, tiny.manifest)
    assert bytes_of_a_token(DecodingOptions(return_attention=True), tiny.manifest) > bytes_of_a_token(
        plain, tiny.manifest
    )
    assert bytes_of_a_token(DecodingOptions(max_length=10**9, return_attention=True), tiny.manifest) < 10_000
    assert most_tokens(DecodingOptions(max_batch_tokens=7), tiny.manifest) == 7
    wide = replace(tiny.manifest, states=(TensorSpec("state.0", "float32", (None, 2048)),))
    assert most_tokens(plain, wide) == BATCH_BYTES // bytes_of_a_token(plain, wide) > 5_000


def test_a_fixed_length_counts_as_padded(tiny_onehot: Model) -> None:
    """All sources of such a model are as long as it was made for."""
    sources = read_sources(["a", "ab", "abc"], tiny_onehot.manifest)
    options = DecodingOptions(max_batch_tokens=12)
    batches = make_batches(sources, [[]] * 3, options, tiny_onehot.manifest)
    assert [batch.source.shape for batch in batches] == [(2, 6), (1, 6)]


@pytest.mark.parametrize("value", [0, 1.5, True])
def test_a_bound_out_of_range_is_named(tiny: Model, value: Any) -> None:
    """Like every option."""
    with pytest.raises(ValueError, match="max_batch_tokens: expected an integer of at least 1"):
        tiny.generate(["ab"], max_batch_tokens=value)

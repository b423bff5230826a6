"""Sentences that wait take the places of those that have ended; what they give stays the same."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import s2s_runtime
from s2s_runtime import Model, OptionError
from s2s_runtime.bundle.manifest_file import read_manifest
from s2s_runtime.bundle.storage import FolderFiles
from s2s_runtime.loading import open_step_model
from s2s_runtime.ort.memory_joiner import Memory, MemoryJoiner
from s2s_runtime.ort.sessions import SessionSettings
from s2s_runtime.search.step_model import Writing

Row = tuple[tuple[int, ...], tuple[int, ...]]


class FakeWriter:
    """Writes many tokens in one run, as slowly as can be. A row is a source, and what was written for it."""

    can_write = can_join = True

    def __init__(self, seed: int, size: int) -> None:
        self.seed, self.size = seed, size
        self.runs: list[int] = []

    def likeliest(self, source: tuple[int, ...], written: tuple[int, ...]) -> int:
        """A token drawn by chance, always the same one for the same row; the last, the start token, never follows."""
        return int(np.random.default_rng([self.seed, *source, 0, *written]).integers(self.size - 1))

    def alone(self, source: list[int], longest: int) -> list[int]:
        """What a source gives: the naive loop. 0 ends."""
        written: tuple[int, ...] = ()
        while len(written) < longest and 0 not in written:
            written = (*written, self.likeliest(tuple(source), written))
        return [token for token in written if token]

    def encode(self, source: np.ndarray) -> list[Row]:
        """Nothing written yet."""
        return [(tuple(row[row > 0].tolist()), ()) for row in source]

    def select(self, states: list[Row], rows: np.ndarray) -> list[Row]:
        """Pick rows."""
        return [states[row] for row in rows]

    def join(self, states: list[Row], more: list[Row], time: int) -> list[Row]:
        """All rows, whose sources fit into the time."""
        assert all(len(source) <= time for source, _ in states + more)
        return states + more

    def write(self, states: list[Row], tokens: np.ndarray, writing: Writing) -> np.ndarray:
        """One step after the other until few enough are live."""
        self.runs.append(len(states))
        assert tokens.tolist() == [written[-1] if written else self.size - 1 for _, written in states]
        live, block = writing.live.copy(), []
        while len(block) < writing.steps and (not block or live.sum() > writing.least):
            block.append(np.array([self.likeliest(*row) for row in states]))
            states[:] = [
                (source, (*written, int(token))) for (source, written), token in zip(states, block[-1], strict=True)
            ]
            live *= writing.goes_on[block[-1]]
        return np.array(block)


sources = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=5), max_size=24)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    sources=sources,
    most=st.tuples(st.integers(1, 9), st.integers(1, 20)),
    by=st.sampled_from(["sentences", "tokens"]),
)
def test_every_sentence_gives_what_it_gives_alone(
    random_model: Callable[..., Model], seed: int, sources: list[list[int]], most: tuple[int, int], by: Any
) -> None:
    """Against the naive loop, one sentence at a time, each with its own longest length; never more than may be."""
    size, longest = most
    fake = FakeWriter(seed, 9)
    model = Model(random_model(seed, 9).manifest, fake)  # type: ignore[arg-type]
    found = model.generate(
        sources,
        max_length=longest,
        max_length_ratio=4,
        max_batch_size=size if by == "sentences" else 5 * size,
        batch_by=by,
        batching="continuous",
    )
    assert [r.ids for r in found] == [fake.alone(source, min(longest, 4 * len(source))) for source in sources]
    assert max(fake.runs, default=0) <= (size if by == "sentences" else 5 * size)


def test_places_are_taken(random_model: Callable[..., Model]) -> None:
    """With many that wait, runs stay nearly full until the last have begun: fewer than batch after batch."""
    fake = FakeWriter(3, 9)
    model = Model(random_model(3, 9, max_length=30).manifest, fake)  # type: ignore[arg-type]
    texts = [[1 + i % 9, 1 + i % 7] for i in range(64)]
    model.generate(texts, max_batch_size=8, batching="continuous")
    continuous = list(fake.runs)
    fake.runs.clear()
    model.generate(texts, max_batch_size=8)
    assert any(later > earlier for earlier, later in pairwise(continuous))
    assert np.mean(continuous) > np.mean(fake.runs)
    assert max(continuous) == 8


@pytest.mark.parametrize("name", ["tiny", "tiny-onehot", "tiny-none", "tiny-probabilities"])
@pytest.mark.parametrize(
    "options",
    [
        {"max_batch_size": 4},
        {"max_batch_size": 30, "batch_by": "tokens", "end_tokens": [1, 4], "return_end_token": True},
        {"max_batch_size": 6, "max_length_ratio": (0.8, 1), "suppress_tokens": [3]},
        {"max_batch_size": 3, "beam_size": 3, "num_hypotheses": 3, "return_token_scores": True},
        {"max_batch_size": 8, "beam_size": 2, "patience": 2.0, "max_length_ratio": 1.5, "length_penalty": 0.3},
    ],
    ids="-".join,
)
def test_every_bundle_gives_the_same(fixtures: Path, name: str, options: dict[str, Any]) -> None:
    """Whatever is fed back, with masked and with fixed padding, greedy and beam: as batch after batch, in any order."""
    model = s2s_runtime.load(fixtures / f"{name}.s2s")
    rng = np.random.default_rng(1)
    masked = model.manifest.padding.masked
    longest = model.manifest.padding.length or 9
    rows = [
        rng.integers(2 if masked else 0, model.manifest.source.size, rng.integers(1, longest + 1)) for _ in range(30)
    ]
    expected = model.generate(rows, **options)
    order = rng.permutation(len(rows))
    found = model.generate([rows[i] for i in order], **options, batching="continuous")
    for place, result in zip(order, found, strict=True):
        for one, other in zip(result.hypotheses, expected[place].hypotheses, strict=True):
            assert (one.ids, one.finish_reason) == (other.ids, other.finish_reason)
            assert one.score == pytest.approx(other.score, abs=1e-5)
            assert one.token_scores == pytest.approx(other.token_scores, abs=1e-5)


@settings(max_examples=40)
@given(
    texts=st.lists(st.text("abcde", max_size=12), max_size=24),
    length=st.integers(1, 30),
    size=st.integers(1, 12),
    beam=st.sampled_from([1, 1, 2]),
)
def test_memory_of_all_lengths_goes_together(tiny: Model, texts: list[str], length: int, size: int, beam: int) -> None:
    """Attention over sources of different lengths, padded and cut as others come and leave."""
    options: Any = {"max_length": length, "max_batch_size": size, "beam_size": beam}
    found = tiny.generate(texts, **options, batching="continuous")
    assert [r.ids for r in found] == [r.ids for r in tiny.generate(texts, **options)]


def test_threads_change_nothing(fixtures: Path) -> None:
    """One thread or two."""
    texts = ["abcde", "a", "dcb", "ee", "bad"] * 6
    found = [
        [r.ids for r in model.generate(texts, max_batch_size=6, batching="continuous")]
        for model in (s2s_runtime.load(fixtures / "tiny.s2s", intra_op_threads=count) for count in (1, 2))
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("options", "obstacle"),
    [
        ({"engine": "steps"}, "engine 'steps'"),
        ({"return_scores": True}, "scores"),
        ({"prefix": ["A", None]}, "prefix"),
        ({"beam_size": 2, "return_attention": True}, "attention"),
    ],
)
def test_what_goes_step_by_step_is_refused(tiny: Model, options: Any, obstacle: str) -> None:
    """An error that names what is in the way; on a device too, where states can't be put together."""
    with pytest.raises(OptionError, match=rf"batching: 'continuous' can't do what was asked for \({obstacle}\)"):
        tiny.generate(["abc", "de"], **options, batching="continuous")


def test_states_on_a_device_are_left_where_they_are(fixtures: Path) -> None:
    """There is no graph that puts states together: refused where asked for."""
    manifest = read_manifest(fixtures / "tiny.s2s")
    files = FolderFiles(fixtures / "tiny.s2s")
    model = Model(manifest, open_step_model(files, manifest, SessionSettings(), on_device=True))
    with pytest.raises(OptionError, match="states in device memory"):
        model.generate(["abc", "de"], batching="continuous")


def test_memory_that_does_not_fit_is_not_joined(tiny: Model, fixtures: Path) -> None:
    """Padded and cut where a mask says what padding is; else only memory of one length goes together."""
    lengths = [(3, 5), (5, 3), (4, 4)]

    def memory(time: int) -> Memory:
        return Memory([np.ones((2, time, 7), np.float32), np.ones((2, time), np.bool_)], time)

    joiner = MemoryJoiner(tiny.manifest)
    assert joiner.joins_any
    for one, other in lengths:
        values, mask = joiner(memory(one), memory(other), max(one, other)) or [None, None]
        assert values is not None
        assert mask is not None
        assert values.shape == (4, max(one, other), 7)
        assert mask.sum(axis=1).tolist() == [one, one, other, other]
        np.testing.assert_array_equal(values.any(axis=2), mask)
    odd = Memory([np.ones((2, 6, 7), np.float32), np.ones((2, 3), np.bool_)], 3)  # not a step for each of the source's
    assert joiner(odd, memory(5), 5) is None
    unmasked = read_manifest(fixtures / "tiny.s2s")
    unmasked = s2s_runtime.Manifest(**{**vars(unmasked), "padding": s2s_runtime.PaddingPolicy(masked=False, id=0)})
    reads_padding = MemoryJoiner(unmasked)
    assert not reads_padding.joins_any
    assert reads_padding(memory(3), memory(5), 5) is None
    assert reads_padding(memory(4), memory(4), 4) is not None

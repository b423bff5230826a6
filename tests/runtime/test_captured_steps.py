"""Steps as captured device graphs, on a session that replays as CUDA does: with the memory of the capture alone.

What can't be seen on a CPU is the capture itself; that every replay finds its inputs where the capture had them can.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

import s2s_runtime
from s2s_runtime import Model, captured, graphs
from s2s_runtime.bundle import read_manifest
from s2s_runtime.onnx_model import OnnxStepModel
from s2s_runtime.sessions import SessionSettings, open_session

SOURCES = [[1, 2, 3], [4], [3, 3, 1, 2], [2, 1]] * 3
BUNDLES = ("tiny", "tiny-onehot", "tiny-none", "tiny-probabilities")


class Replaying:
    """A session that replays: a run whose graph was captured before is that of the capture, whatever is bound now."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._captured: dict[str, Any] = {}
        self.runs: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run_with_iobinding(self, binding: Any, options: Any = None) -> None:
        """Runs of graph -1 are plain ones."""
        assert options is not None, "without a number, onnxruntime captures graph 0"
        graph = options.get_run_config_entry("gpu_graph_id")
        self.runs[graph] += 1
        if graph == "-1":
            self._session.run_with_iobinding(binding)
        elif graph not in self._captured:
            for _ in range(2):  # one to warm up, one to record
                self._session.run_with_iobinding(binding)
            self._captured[graph] = binding
        else:
            self._session.run_with_iobinding(self._captured[graph])

    @property
    def captures(self) -> int:
        """How many graphs there are."""
        return len(self._captured)


class Sessions(Mapping[str, Any]):
    """The sessions of a bundle, that of the decoder replaying."""

    def __init__(self, folder: Path) -> None:
        names = [path.stem for path in folder.glob("*.onnx")]
        self._sessions = {name: ort.InferenceSession(str(folder / f"{name}.onnx")) for name in names}
        self.decoder = self._sessions["decoder"] = Replaying(self._sessions["decoder"])

    def __getitem__(self, name: str) -> Any:
        return self._sessions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sessions)

    def __len__(self) -> int:
        return len(self._sessions)


def replaying(folder: Path) -> tuple[Model, Replaying]:
    """A model whose steps are captured, and the decoder's session."""
    manifest, sessions = read_manifest(folder), Sessions(folder)
    return Model(manifest, OnnxStepModel(manifest, sessions, on_device=True, captures=True)), sessions.decoder


@pytest.mark.parametrize("name", BUNDLES)
def test_replays_give_the_same(fixtures: Path, name: str) -> None:
    """Greedy, beams, samples, attention: the tokens and scores of states in host memory, by captured graphs alone."""
    model, decoder = replaying(fixtures / f"{name}.s2s")
    host = s2s_runtime.load(fixtures / f"{name}.s2s")
    for options in (
        {"engine": "steps"},
        {"beam_size": 3, "num_hypotheses": 3, "engine": "steps"},
        {"sampling_temperature": 1.0, "num_hypotheses": 3, "seed": 1},
        {"return_attention": host.manifest.attention, "return_scores": True},
        {"engine": "steps", "repetition_penalty": 1.5, "beam_size": 2},
    ):
        for _ in range(2):  # the second call finds the captures of the first
            found = [result.to_dict() for result in model.generate(SOURCES, **options)]
            assert found == [result.to_dict() for result in host.generate(SOURCES, **options)]
    assert decoder.runs["-1"] == 0
    assert 0 < decoder.captures < sum(decoder.runs.values()) / 2


def test_values_are_captured_too(fixtures: Path) -> None:
    """The values of a model that predicts values, by captured graphs."""
    model, decoder = replaying(fixtures / "tiny-values.s2s")
    inputs = np.random.default_rng(0).normal(size=(3, 4, 2))
    for _ in range(2):
        np.testing.assert_array_equal(
            model.predict(inputs), s2s_runtime.load(fixtures / "tiny-values.s2s").predict(inputs)
        )
    assert decoder.captures == 2
    assert decoder.runs["-1"] == 0


def test_captures_are_used_again(fixtures: Path) -> None:
    """The same shapes take the same captures, as soon as what used them is gone."""
    model, decoder = replaying(fixtures / "tiny.s2s")
    model.generate(["abc"], engine="steps")
    first = decoder.captures
    for text in ("abd", "bca", "ddd"):
        model.generate([text], engine="steps")
    gc.collect()
    assert decoder.captures == first == 2  # one for each direction


def test_there_are_enough_captures_at_some_point(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the most, kernels are launched one after the other, and the tokens stay."""
    monkeypatch.setattr(captured.Captures.__init__, "__defaults__", (1,))
    model, decoder = replaying(fixtures / "tiny.s2s")
    texts = ["abc", "a", "abcdeabcde"]
    found = [model.generate([text], engine="steps")[0].ids for text in texts]
    assert found == [each.ids for each in s2s_runtime.load(fixtures / "tiny.s2s").generate(texts)]
    assert decoder.captures == 2
    assert decoder.runs["-1"] > 0


def test_states_side_by_side_have_captures_of_their_own(fixtures: Path) -> None:
    """Two decoders that take turns, and eight threads, don't write into each other's states."""
    model, _ = replaying(fixtures / "tiny.s2s")
    host = s2s_runtime.load(fixtures / "tiny.s2s")
    texts = ["abc", "cba", "bac", "aaa"] * 8
    expected = [host.generate([text], beam_size=3)[0].ids for text in texts]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: model.generate([text], beam_size=3, engine="steps")[0].ids, texts))
    assert found == expected
    streams = [model.stream("abcd"), model.stream("dcba")]
    pieces: list[list[str]] = [[], []]
    for _ in range(40):
        for stream, written in zip(streams, pieces, strict=True):
            written.extend(piece for piece in [next(stream, None)] if piece is not None)
    assert ["".join(written) for written in pieces] == [each.text for each in host.generate(["abcd", "dcba"])]


def test_only_the_step_graph_is_opened_to_capture(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops can't be captured, and shapes of sources change from call to call."""
    asked = {}

    def opened(graph: Path, settings: SessionSettings, *_: Any, **more: Any) -> Any:
        asked[graph.stem] = settings.captures
        return open_session(graph, SessionSettings(), **more)

    monkeypatch.setattr(graphs, "open_session", opened)
    s2s_runtime.load(fixtures / "tiny.s2s", providers=["cuda"], provider_options=[{"enable_cuda_graph": True}])
    assert asked == {"encoder": False, "greedy": False, "decoder": True}


@pytest.mark.parametrize(
    ("providers", "options", "expected"),
    [
        (["cuda"], [{"enable_cuda_graph": True}], True),
        (["cuda", "cpu"], [{"enable_cuda_graph": "1", "device_id": 1}, {}], True),
        (["cuda"], [{"enable_cuda_graph": "0"}], False),
        (["cuda"], [{}], False),
        (["cuda"], None, False),
        (["cpu"], [{"enable_cuda_graph": True}], False),
        (["cpu", "cuda"], [{}, {"enable_cuda_graph": True}], False),
    ],
)
def test_who_asks_for_captures(
    providers: list[str], options: list[dict[str, str | int | float | bool]] | None, expected: bool
) -> None:
    """Onnxruntime's own option of CUDA, which only the step graph is opened with: loops can't be captured."""
    settings = SessionSettings(providers, options)
    assert settings.captures is expected
    rest = settings.without_captures
    assert not rest.captures
    assert rest.device == settings.device
    assert rest.requested == settings.requested

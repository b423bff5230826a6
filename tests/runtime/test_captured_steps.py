"""Steps as captured device graphs, on a session that replays as CUDA does: with the memory of the capture alone.

What can't be seen on a CPU is the capture itself; that every replay finds its inputs where the capture had them can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

import s2s_runtime
from s2s_runtime import BundleError, Model, OptionError, loading
from s2s_runtime.bundle.manifest_file import read_manifest
from s2s_runtime.ort import bundle_sessions as graphs
from s2s_runtime.ort import captured, sessions
from s2s_runtime.ort.device import Device
from s2s_runtime.ort.onnx_model import OnnxStepModel
from s2s_runtime.ort.sessions import SessionSettings, open_session

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
    """Greedy, beams, samples, attention: the tokens and scores of states in host memory, from the second call on."""
    model, decoder = replaying(fixtures / f"{name}.s2s")
    host = s2s_runtime.load(fixtures / f"{name}.s2s")
    for options in (
        {"engine": "steps"},
        {"beam_size": 3, "num_hypotheses": 3, "engine": "steps"},
        {"sampling_temperature": 1.0, "num_hypotheses": 3, "seed": 1},
        {"return_attention": host.manifest.attention, "return_scores": True},
        {"engine": "steps", "repetition_penalty": 1.5, "beam_size": 2},
    ):
        for call in range(3):  # the first sees the shapes, the second captures them, the third replays
            plain = decoder.runs["-1"]
            found = [result.to_dict() for result in model.generate(SOURCES, **options)]
            assert found == [result.to_dict() for result in host.generate(SOURCES, **options)]
            if call:
                assert decoder.runs["-1"] == plain
    assert 0 < decoder.captures < sum(decoder.runs.values()) / 2


def test_values_are_captured_too(fixtures: Path) -> None:
    """The values of a model that predicts values."""
    model, decoder = replaying(fixtures / "tiny-values.s2s")
    host = s2s_runtime.load(fixtures / "tiny-values.s2s")
    inputs = np.random.default_rng(0).normal(size=(3, 4, 2))
    for _ in range(3):
        np.testing.assert_array_equal(model.predict(inputs), host.predict(inputs))
    assert decoder.captures == 2
    assert decoder.runs["-1"] == sum(decoder.runs.values()) / 3


def test_captures_are_used_again(fixtures: Path) -> None:
    """The same shapes take the same captures, as soon as what used them is gone; what comes once has none."""
    model, decoder = replaying(fixtures / "tiny.s2s")
    for text in ("abd", "bca", "ddd", "cab", "a"):
        model.generate([text], engine="steps")
    assert decoder.captures == 2  # one for each direction, of three symbols


def test_there_are_enough_captures_at_some_point(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the most, kernels are launched one after the other, and the tokens stay."""
    monkeypatch.setattr(captured, "MOST", 1)
    model, decoder = replaying(fixtures / "tiny.s2s")
    texts = ["abc", "a", "abcdeabcde"] * 3
    found = [model.generate([text], engine="steps")[0].ids for text in texts]
    assert found == [each.ids for each in s2s_runtime.load(fixtures / "tiny.s2s").generate(texts)]
    assert decoder.captures == 2


def test_states_side_by_side_have_captures_of_their_own(fixtures: Path) -> None:
    """Streams that take turns don't write into each other's states."""
    model, decoder = replaying(fixtures / "tiny.s2s")
    texts = ["abcd", "dcba", "bbbb"]
    streams = [model.stream(text) for text in texts]
    pieces: list[list[str]] = [[] for _ in texts]
    for _ in range(40):
        for stream, written in zip(streams, pieces, strict=True):
            written.extend(piece for piece in [next(stream, None)] if piece is not None)
    host = s2s_runtime.load(fixtures / "tiny.s2s")
    assert ["".join(written) for written in pieces] == [each.text for each in host.generate(texts)]
    assert decoder.captures == 4  # of the second and the third


def test_two_models_of_one_session_have_graphs_of_their_own(fixtures: Path) -> None:
    """Graphs are numbered by session, which models may share."""
    manifest, shared = read_manifest(fixtures / "tiny.s2s"), Sessions(fixtures / "tiny.s2s")
    models = [Model(manifest, OnnxStepModel(manifest, shared, on_device=True, captures=True)) for _ in range(2)]
    texts = ["abc", "dda", "cab"]
    expected = [each.ids for each in s2s_runtime.load(fixtures / "tiny.s2s").generate(texts)]
    for model in models:
        assert [model.generate([text], engine="steps")[0].ids for text in texts] == expected


def test_a_capture_is_lent_as_long_as_states_lie_in_it(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where their steps are bound anew, and no capture is left for that."""
    monkeypatch.setattr(captured, "MOST", 1)
    manifest = read_manifest(fixtures / "tiny.s2s")
    steps = OnnxStepModel(manifest, Sessions(fixtures / "tiny.s2s"), on_device=True, captures=True)
    source, tokens = np.array([[3, 4, 5]]), np.array([1])
    steps.step(steps.encode(source), tokens)  # the shape was seen
    first = steps.encode(source)
    steps.step(first, tokens)
    steps.step(first, tokens, attention=True)
    second = steps.encode(source[:, ::-1])
    steps.step(second, tokens)
    assert first.sets[0][0] is not second.sets[0][0]
    kept = first.sets[0][0]
    del first
    third = steps.encode(source)
    steps.step(third, tokens)
    assert third.sets[0][0] is kept


@pytest.mark.parametrize(("what", "turn"), [("like", 3), ("outputs", 2)])
def test_what_fails_on_the_way_costs_no_capture(
    fixtures: Path, monkeypatch: pytest.MonkeyPatch, what: str, turn: int
) -> None:
    """Device memory that runs out while a capture is made, or filled, leaves as many as there were."""
    monkeypatch.setattr(captured, "MOST", 1)
    model, decoder = replaying(fixtures / "tiny.s2s")
    model.generate(["abc"], engine="steps")
    working, calls = getattr(Device, what), count(1)

    def failing(*given: Any, **more: Any) -> Any:
        if next(calls) == turn:  # those before belong to the encoder
            raise MemoryError("no memory left")
        return working(*given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Device, what, failing)
        with pytest.raises(MemoryError):
            model.generate(["abc"], engine="steps")
    assert decoder.captures == 0
    for _ in range(2):
        model.generate(["abc"], engine="steps")
    assert decoder.captures == 2


def test_another_thread_is_refused(fixtures: Path) -> None:
    """CUDA captures what one thread does."""
    model, _ = replaying(fixtures / "tiny.s2s")
    model.generate(["abc"], engine="steps")
    with ThreadPoolExecutor(1) as pool, pytest.raises(OptionError, match="with enable_cuda_graph a model is for one"):
        pool.submit(model.generate, ["abc"], engine="steps").result()


def test_only_the_step_graph_is_opened_to_capture(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops can't be captured, and shapes of sources change from call to call."""
    asked = {}

    def opened(graph: Path, settings: SessionSettings, *_: Any, **more: Any) -> Any:
        asked[graph.stem] = settings.captures
        return open_session(graph, SessionSettings(), **more)

    monkeypatch.setattr(graphs, "open_session", opened)
    s2s_runtime.load(fixtures / "tiny.s2s", providers=["cuda"], provider_options=[{"enable_cuda_graph": True}])
    assert asked == {"encoder": False, "greedy": False, "decoder": True}


def test_other_graphs_that_capture_are_refused(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of sessions that the caller opened only the decoder's may."""
    monkeypatch.setattr(loading, "settings_like", lambda _: SessionSettings(["cuda"], [{"enable_cuda_graph": "1"}]))
    encoder = ort.InferenceSession(str(fixtures / "tiny.s2s" / "encoder.onnx"))
    with pytest.raises(OptionError, match="sessions: encoder: expected no enable_cuda_graph; only steps are captured"):
        s2s_runtime.load(fixtures / "tiny.s2s", sessions={"encoder": encoder})


def test_a_graph_that_cannot_be_captured_is_named(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As onnxruntime puts it where some node has no kernel on the device."""
    real = sessions.import_onnxruntime()

    def refuse(*_: Any, **__: Any) -> Any:
        message = "This session cannot use the graph capture feature as requested by the user"
        raise real.capi.onnxruntime_pybind11_state.Fail(message)

    fake = SimpleNamespace(**{**vars(real), "InferenceSession": refuse})
    fake.get_available_providers = lambda: ["CUDAExecutionProvider"]
    monkeypatch.setattr(sessions, "import_onnxruntime", lambda: fake)
    graph = fixtures / "tiny.s2s" / "decoder.onnx"
    with pytest.raises(OptionError, match=r"enable_cuda_graph: not all of .*decoder.onnx runs on the device"):
        open_session(graph, SessionSettings(["cuda"], [{"enable_cuda_graph": True}]))
    with pytest.raises(BundleError, match="can't load this graph"):
        open_session(graph, SessionSettings(["cuda"]))


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

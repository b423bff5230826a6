"""Batches of a list decoded side by side: what each sentence gives, and when it is done."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import s2s_runtime
from s2s_runtime import CancelledError, Model, OptionError, cli
from s2s_runtime.bundle import read_manifest
from s2s_runtime.sessions import SessionSettings
from s2s_runtime.workers import MOST_WEIGHTS, Workers, make_workers, usable_cores, weight_bytes

TEXTS = ["abcde"[: 1 + i % 5] * (1 + i % 3) for i in range(90)]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"beam_size": 3, "num_hypotheses": 3, "return_token_scores": True},
    {"engine": "steps", "return_scores": True},
    {"sampling_temperature": 1.5, "num_hypotheses": 2, "seed": 7},
    {"return_alternatives": True, "num_hypotheses": 2},
    {"prefix": ["A" if i % 4 == 0 else None for i in range(len(TEXTS))]},
]


class Watched:
    """A step model that notes which threads encode with it."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.threads: list[str] = []

    def encode(self, *sources: np.ndarray) -> Any:
        """See `StepModel.encode`."""
        self.threads.append(threading.current_thread().name)
        return self._model.encode(*sources)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def watched(model: Model, count: int = 2) -> tuple[Model, Watched, Watched]:
    """A model with workers, what it decodes single batches with, and what its workers use."""
    own, theirs = Watched(model.step_model), Watched(model.step_model)
    return Model(model.manifest, own, workers=Workers(count, lambda: theirs)), own, theirs  # type: ignore[arg-type]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("workers", [2, 5])
def test_every_sentence_gives_what_it_gives_without_workers(
    fixtures: Path, tiny: Model, options: dict[str, Any], workers: int
) -> None:
    """Tokens, scores, order; whatever the number of workers."""
    with s2s_runtime.load(fixtures / "tiny.s2s", workers=workers) as model:
        found = model.generate(TEXTS, max_batch_size=7, **options)
    expected = tiny.generate(TEXTS, max_batch_size=7, **options)
    assert [result.to_dict() for result in found] == [result.to_dict() for result in expected]


def test_batches_go_to_several_threads(tiny: Model) -> None:
    """All to the workers, none to the graphs whose operators all cores share."""
    model, own, theirs = watched(tiny)
    model.generate(TEXTS, max_batch_size=3)
    assert own.threads == []
    assert len(theirs.threads) == 30
    assert {name.rpartition("_")[0] for name in theirs.threads} == {"s2s-worker"}


def test_two_workers_decode_at_the_same_time(tiny: Model) -> None:
    """Each waits in its first batch until the other is in its own: one after the other would wait for ever."""
    both = threading.Barrier(2)

    class Meeting(Watched):
        def encode(self, *sources: np.ndarray) -> Any:
            if len(self.threads) < 2:
                self.threads.append("")
                both.wait(timeout=60)
            return self._model.encode(*sources)

    meeting = Meeting(tiny.step_model)
    model = Model(tiny.manifest, tiny.step_model, workers=Workers(2, lambda: meeting))  # type: ignore[arg-type, return-value]
    assert len(model.generate(TEXTS, max_batch_size=10)) == len(TEXTS)
    assert len(meeting.threads) == 2


@pytest.mark.parametrize("count", [2, 3])
def test_large_batches_are_cut(tiny: Model, count: int) -> None:
    """Where there are fewer than workers, into parts of at least 64 rows; rows of beam search count too."""
    expected = [result.ids for result in tiny.generate(TEXTS * 3, max_batch_size=300)]
    model, own, theirs = watched(tiny, count)
    assert [result.ids for result in model.generate(TEXTS * 3, max_batch_size=300)] == expected
    assert (own.threads, len(theirs.threads)) == ([], count)
    model.generate(TEXTS, max_batch_size=90)
    assert (len(own.threads), len(theirs.threads)) == (1, count)
    model.generate(TEXTS[:30], max_batch_size=90, beam_size=4)
    assert (len(own.threads), len(theirs.threads)) == (2, count)
    model.generate(TEXTS[:32], max_batch_size=90, beam_size=4)
    assert (len(own.threads), len(theirs.threads)) == (2, count + 2)


def test_short_lists_dont_open_the_graphs(tiny: Model) -> None:
    """Seven batches go one after the other; once a longer list has opened the graphs, two are enough."""
    model, own, theirs = watched(tiny)
    model.generate(TEXTS[:7], max_batch_size=1)
    assert (len(own.threads), len(theirs.threads)) == (7, 0)
    model.generate(TEXTS[:8], max_batch_size=1)
    assert (len(own.threads), len(theirs.threads)) == (7, 8)
    model.generate(TEXTS[:2], max_batch_size=1)
    model.generate(TEXTS[:1])
    assert (len(own.threads), len(theirs.threads)) == (8, 10)


@pytest.mark.parametrize(
    "options",
    [
        {"callback": lambda event: None},
        {"allowed_next": lambda tokens, ids: range(8)},
        {"batching": "continuous"},
    ],
)
def test_functions_of_the_caller_are_called_from_one_thread(tiny: Model, options: dict[str, Any]) -> None:
    """Nothing says that they could take more; batches that are one flow have no use for more either."""
    model, own, theirs = watched(tiny)
    model.generate(TEXTS, max_batch_size=5, **options)
    assert theirs.threads == []
    assert set(own.threads) == {threading.current_thread().name}


def test_an_error_in_one_batch_ends_the_call(tiny: Model) -> None:
    """It is raised, and batches that wait aren't begun; the model goes on to work."""

    class Failing(Watched):
        def encode(self, *sources: np.ndarray) -> Any:
            if len(self.threads) == 3:
                raise MemoryError("no room")
            return super().encode(*sources)

    failing = Failing(tiny.step_model)
    model = Model(tiny.manifest, tiny.step_model, workers=Workers(2, lambda: failing))  # type: ignore[arg-type, return-value]
    with pytest.raises(MemoryError, match="no room"):
        model.generate(TEXTS * 10, max_batch_size=1)
    assert len(failing.threads) < len(TEXTS)
    failing.threads.clear()
    assert model.generate(TEXTS[:2], max_batch_size=1)[0].ids == tiny.generate(TEXTS[:1])[0].ids


def test_a_cancelled_call_ends(tiny: Model) -> None:
    """The signal reaches every worker."""
    signal = threading.Event()

    class Setting(Watched):
        def encode(self, *sources: np.ndarray) -> Any:
            signal.set()
            return super().encode(*sources)

    setting = Setting(tiny.step_model)
    model = Model(tiny.manifest, tiny.step_model, workers=Workers(2, lambda: setting))  # type: ignore[arg-type, return-value]
    with pytest.raises(CancelledError):
        model.generate(TEXTS, max_batch_size=1, cancel=signal)
    assert len(setting.threads) <= 2


def test_lists_from_several_threads_share_the_graphs(fixtures: Path, tiny: Model) -> None:
    """They are opened once."""
    opened: list[int] = []

    def open_model() -> Any:
        opened.append(1)
        return tiny.step_model

    model = Model(tiny.manifest, tiny.step_model, workers=Workers(2, open_model))
    expected = [result.ids for result in tiny.generate(TEXTS)]
    found: list[list[list[int]]] = []
    calls = [
        threading.Thread(target=lambda: found.append([r.ids for r in model.generate(TEXTS, max_batch_size=4)]))
        for _ in range(4)
    ]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert found == [expected] * 4
    assert opened == [1]


def test_files_and_iterators_use_them(tiny: Model, tmp_path: Path) -> None:
    """Within what is read ahead."""
    (tmp_path / "in.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    expected = [result.text for result in tiny.generate(TEXTS)]
    model, own, theirs = watched(tiny)
    assert [result.text for result in model.generate_iter(TEXTS, max_batch_size=4)] == expected
    model.generate_file(tmp_path / "in.txt", tmp_path / "out.txt", max_batch_size=4)
    assert (tmp_path / "out.txt").read_text(encoding="utf-8").splitlines() == expected
    assert (own.threads, len(theirs.threads)) == ([], 46)


def workers(fixtures: Path, count: int | None = None, **settings: Any) -> Workers | None:
    ready = settings.pop("ready", {})
    seen: list[SessionSettings] = []

    def open_model(chosen: SessionSettings) -> Any:
        seen.append(chosen)

    manifest = read_manifest(fixtures / "tiny.s2s")
    made = make_workers(count, SessionSettings(**settings), manifest, ready, open_model)
    if made is not None:
        assert made.model is None
        made.threads = seen[0].intra_op_threads  # type: ignore[attr-defined]
    return made


def test_unasked_there_are_as_many_as_cores(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For small models on the CPU, where nothing was said about threads; each with one thread."""
    monkeypatch.setattr("s2s_runtime.workers.usable_cores", lambda: 6)
    made: Any = workers(fixtures)
    assert (made.count, made.threads) == (6, 1)
    assert workers(fixtures, intra_op_threads=2) is None
    assert workers(fixtures, inter_op_threads=2) is None
    assert workers(fixtures, shared_threads=True) is None
    assert workers(fixtures, providers=["cuda", "cpu"]) is None
    assert workers(fixtures, ready={"encoder": object()}) is None
    monkeypatch.setattr("s2s_runtime.workers.weight_bytes", lambda manifest: MOST_WEIGHTS + 1)
    assert workers(fixtures) is None
    made = workers(fixtures, 2)
    assert (made.count, made.threads) == (2, 3)
    made = workers(fixtures, 2, intra_op_threads=2)
    assert (made.count, made.threads) == (2, 2)
    assert workers(fixtures, 1) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "workers: expected an integer of at least 1 or None, got 0"),
        ({"count": True}, "workers: expected an integer of at least 1 or None, got True"),
        ({"count": 2, "providers": ["cuda"]}, "workers: expected 1 or None with a provider other than the CPU, got 2"),
        ({"count": 2, "shared_threads": True}, "workers: expected 1 or None with shared_threads, got 2"),
        ({"count": 2, "ready": {"encoder": object()}}, "workers: expected 1 or None with sessions, got 2"),
    ],
)
def test_what_workers_cant_do_is_refused(fixtures: Path, options: dict[str, Any], message: str) -> None:
    """When the bundle is loaded, not with the first list."""
    with pytest.raises(OptionError, match=message):
        workers(fixtures, **options)


def test_weights_count_once(fixtures: Path) -> None:
    """Of a bundle with shared weights the file of these, of others all graphs; and there is at least one core."""
    manifest = read_manifest(fixtures / "tiny.s2s")
    expected = sum((fixtures / "tiny.s2s" / file.file).stat().st_size for file in manifest.graphs.values())
    if manifest.weights is not None:
        expected = (fixtures / "tiny.s2s" / manifest.weights.file).stat().st_size
    assert weight_bytes(manifest) == expected
    assert usable_cores() >= 1


def test_the_command_takes_them(fixtures: Path, tiny: Model) -> None:
    """As --workers, where lists are decoded; elsewhere it would have no effect, and says so."""
    bundle = str(fixtures / "tiny.s2s")
    expected = [result.text for result in tiny.generate(TEXTS)]
    run: Callable[..., Any] = CliRunner().invoke
    found = run(cli.app, [bundle, "--workers", "3", "--batch-size", "4"], input="\n".join(TEXTS))
    assert (found.exit_code, found.stdout.splitlines()) == (0, expected)
    for more, message in (
        (["--stream"], "--workers: no effect where texts are decoded one by one"),
        (["--ensemble-with", bundle], "--workers: no effect with --ensemble-with, whose batches follow one another"),
        (["--score"], "--workers: no effect with --score, which searches nothing"),
    ):
        found = run(cli.app, [bundle, "--workers", "3", *more], input="a")
        assert (found.exit_code, found.stderr) == (2, f"error: {message}\n")

"""Batches of a list decoded side by side: what each sentence gives, and when it is done."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import s2s_runtime
from s2s_runtime import CancelledError, Model, RunError
from s2s_runtime.commands import decode as cli
from s2s_runtime.decoding.workers import Workers, weight_bytes

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


@pytest.fixture(scope="module")
def tiny(fixtures: Path) -> Model:
    """The reference: batch after batch."""
    return s2s_runtime.load(fixtures / "tiny.s2s", workers=1)


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
    assert set(theirs.threads) <= {threading.current_thread().name, "s2s-worker-1"}


def test_targets_are_scored_side_by_side(tiny: Model) -> None:
    """The same figures in the same order, by the workers; a few pairs by the model's own graphs."""
    targets = [result.ids for result in tiny.generate(TEXTS)]
    expected = tiny.score(TEXTS, targets, max_batch_size=3)
    model, own, theirs = watched(tiny)
    found = model.score(TEXTS, targets, max_batch_size=3)
    assert [each.to_dict() for each in found] == [each.to_dict() for each in expected]
    assert (len(own.threads), len(theirs.threads)) == (0, 30)
    assert set(theirs.threads) <= {threading.current_thread().name, "s2s-worker-1"}
    model.score(TEXTS[:2], targets[:2])
    assert (len(own.threads), len(theirs.threads)) == (1, 30)


@pytest.mark.parametrize("options", [{}, {"beam_size": 3}])
def test_ensembles_have_the_workers_of_their_members(tiny: Model, options: dict[str, Any]) -> None:
    """Each batch by one worker of every member; the members' own graphs aren't used."""
    members = [watched(tiny, count) for count in (2, 3)]
    together = s2s_runtime.ensemble([model for model, _, _ in members])
    assert together.workers is not None
    assert together.workers.count == 2
    found = together.generate(TEXTS, max_batch_size=3, **options)
    assert [result.ids for result in found] == [result.ids for result in tiny.generate(TEXTS, **options)]
    for _, own, theirs in members:
        assert own.threads == []
        assert len(theirs.threads) == 30
        assert set(theirs.threads) <= {threading.current_thread().name, "s2s-worker-1"}


def test_ensembles_without_workers(fixtures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a member has none, and where they are large together: batch after batch. One that went is no matter."""
    monkeypatch.setattr("s2s_runtime.decoding.workers.usable_cores", lambda: 2)
    shutil.copytree(fixtures / "tiny.s2s", tmp_path / "tiny.s2s")
    plain, gone = s2s_runtime.load(fixtures / "tiny.s2s"), s2s_runtime.load(tmp_path / "tiny.s2s")
    alone = s2s_runtime.load(fixtures / "tiny.s2s", workers=1)
    expected = [result.ids for result in alone.generate(TEXTS)]
    assert s2s_runtime.ensemble([plain, alone]).workers is None
    together = s2s_runtime.ensemble([plain, gone])
    together.generate(TEXTS[:2])  # opens the members' own graphs
    shutil.rmtree(tmp_path / "tiny.s2s")
    assert [result.ids for result in together.generate(TEXTS, max_batch_size=4)] == expected
    assert together.workers is not None
    assert together.workers.count == 2
    monkeypatch.setattr("s2s_runtime.ensembles.MOST_WEIGHTS", 2 * weight_bytes(plain.manifest) - 1)
    assert s2s_runtime.ensemble([plain, plain]).workers is None
    asked = s2s_runtime.load(fixtures / "tiny.s2s", workers=2)
    assert s2s_runtime.ensemble([asked, plain]).workers is not None


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
    """Where there are fewer than workers, into parts of at least 32 rows; rows of beam search count too."""
    expected = [result.ids for result in tiny.generate(TEXTS * 3, max_batch_size=300)]
    model, own, theirs = watched(tiny, count)
    assert [result.ids for result in model.generate(TEXTS * 3, max_batch_size=300)] == expected
    assert (own.threads, len(theirs.threads)) == ([], count)
    model.generate(TEXTS[: 32 * count - 1], max_batch_size=99)
    assert (len(own.threads), len(theirs.threads)) == (1, count)
    model.generate(TEXTS[: 8 * count - 1], max_batch_size=90, beam_size=4)
    assert (len(own.threads), len(theirs.threads)) == (2, count)
    model.generate(TEXTS[: 8 * count], max_batch_size=90, beam_size=4)
    assert (len(own.threads), len(theirs.threads)) == (2, 2 * count)


def test_short_lists_dont_open_the_graphs(tiny: Model) -> None:
    """Seven batches go one after the other, as do later ones."""
    model, own, theirs = watched(tiny)
    model.generate(TEXTS[:7], max_batch_size=1)
    assert (len(own.threads), len(theirs.threads)) == (7, 0)
    model.generate(TEXTS[:8], max_batch_size=1)
    assert (len(own.threads), len(theirs.threads)) == (7, 8)
    model.generate(TEXTS[:2], max_batch_size=1)
    model.generate(TEXTS[:1])
    assert (len(own.threads), len(theirs.threads)) == (10, 8)


@pytest.mark.parametrize(
    "options",
    [
        {"callback": lambda event: None},
        {"allowed_next": lambda tokens, ids: range(8)},
    ],
)
def test_functions_of_the_caller_are_called_from_one_thread(tiny: Model, options: dict[str, Any]) -> None:
    """Nothing says that they could take more; batches that are one flow have no use for more either."""
    model, own, theirs = watched(tiny)
    model.generate(TEXTS, max_batch_size=5, **options)
    assert theirs.threads == []
    assert set(own.threads) == {threading.current_thread().name}


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (MemoryError("no room"), RunError),
        (ZeroDivisionError("no room"), ZeroDivisionError),
        (KeyboardInterrupt("no room"), KeyboardInterrupt),
    ],
)
def test_an_error_in_one_batch_ends_the_call(tiny: Model, error: BaseException, raised: type[BaseException]) -> None:
    """It is raised, and batches that wait aren't begun; the model goes on to work."""
    counting = threading.Lock()

    class Failing(Watched):
        def encode(self, *sources: np.ndarray) -> Any:
            with counting:
                self.threads.append("")
                count = len(self.threads)
            if 3 <= count < 300:
                raise error
            return self._model.encode(*sources)

    failing = Failing(tiny.step_model)
    model = Model(tiny.manifest, tiny.step_model, workers=Workers(2, lambda: failing))  # type: ignore[arg-type, return-value]
    with pytest.raises(raised, match="no room"):
        model.generate(TEXTS * 10, max_batch_size=1)
    assert 3 <= len(failing.threads) <= 4  # that of the other worker, at most
    failing.threads += [""] * 300
    found = model.generate(TEXTS[:9], max_batch_size=1)
    assert [result.ids for result in found] == [result.ids for result in tiny.generate(TEXTS[:9])]
    assert len(failing.threads) > 309


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


def test_a_wide_beam_of_one_sentence_isnt_cut(fixtures: Path) -> None:
    """Its rows are one sentence's; a part without any would stop onnxruntime's LSTM for good."""
    with s2s_runtime.load(fixtures / "tiny-onehot.s2s", workers=3) as model:
        found = model.generate(["abc"], beam_size=256, num_hypotheses=4)
        pair = model.generate(["abc", "ba"], beam_size=256, num_hypotheses=4)
    with s2s_runtime.load(fixtures / "tiny-onehot.s2s", workers=1) as alone:
        expected = alone.generate(["abc", "ba"], beam_size=256, num_hypotheses=4)
    assert [each.ids for each in found[0].hypotheses] == [each.ids for each in expected[0].hypotheses]
    assert [result.ids for result in pair] == [result.ids for result in expected]


def test_a_bundle_that_went_is_decoded_as_before(fixtures: Path, tmp_path: Path, tiny: Model) -> None:
    """Workers open graphs of what was loaded, whether its place is gone or holds another bundle by now."""
    shutil.copytree(fixtures / "tiny.s2s", tmp_path / "a.s2s")
    shutil.copytree(fixtures / "tiny.s2s", tmp_path / "b.s2s")
    expected = [result.ids for result in tiny.generate(TEXTS * 2)]
    unasked = s2s_runtime.load(tmp_path / "a.s2s")
    asked = [s2s_runtime.load(tmp_path / name, workers=2) for name in ("a.s2s", "b.s2s")]
    shutil.rmtree(tmp_path / "a.s2s")
    (tmp_path / "b.s2s" / "encoder.onnx").write_bytes((fixtures / "tiny-none.s2s" / "encoder.onnx").read_bytes())
    assert [result.ids for result in unasked.generate(TEXTS * 2)] == expected
    for model in asked:
        assert [result.ids for result in model.generate(TEXTS * 2)] == expected


def test_the_working_folder_may_change(fixtures: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Between loading and the first list."""
    monkeypatch.chdir(fixtures)
    model = s2s_runtime.load("tiny.s2s", workers=2)
    monkeypatch.chdir(tmp_path)
    assert len(model.generate(TEXTS * 2)) == len(TEXTS) * 2
    assert model.generate(["abc"], beam_size=2)


def test_threads_that_outlive_the_main_thread_decode_lists(fixtures: Path) -> None:
    """As they did one after the other: Python's own pools take no work any more by then."""
    script = (
        "import sys, threading, time, s2s_runtime\n"
        f"model = s2s_runtime.load({str(fixtures / 'tiny.s2s')!r}, workers=2)\n"
        "def decode():\n"
        "    threading.main_thread().join()\n"
        "    print(len(model.generate(['abc'] * 200)))\n"
        "threading.Thread(target=decode).start()\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (found.stdout, found.stderr) == ("200\n", "")


def test_where_no_threads_are_to_be_had_the_caller_decodes(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Python 3.12 refuses them once the main thread has ended: the results are the same."""
    with s2s_runtime.load(fixtures / "tiny.s2s", workers=1) as alone:
        expected = [result.ids for result in alone.generate(TEXTS * 2)]

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with s2s_runtime.load(fixtures / "tiny.s2s", workers=3) as model:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        assert [result.ids for result in model.generate(TEXTS * 2)] == expected


def test_the_command_takes_them(fixtures: Path, tiny: Model) -> None:
    """As --workers, where lists are decoded; elsewhere it would have no effect, and says so."""
    bundle = str(fixtures / "tiny.s2s")
    expected = [result.text for result in tiny.generate(TEXTS)]
    run: Callable[..., Any] = CliRunner().invoke
    found = run(cli.app, [bundle, "--workers", "3", "--batch-size", "4"], input="\n".join(TEXTS))
    assert (found.exit_code, found.stdout.splitlines()) == (0, expected)
    twice = ["--ensemble-with", bundle, "--workers", "3", "--batch-size", "4"]
    both = run(cli.app, [bundle, *twice], input="\n".join(TEXTS))
    assert (both.exit_code, both.stdout.splitlines()) == (0, expected)
    pairs = "".join(f"{text}\t{target}\n" for text, target in zip(TEXTS, expected, strict=True))
    alone, shared = (run(cli.app, [bundle, "--score", "--workers", count], input=pairs) for count in "13")
    assert alone.stdout == shared.stdout
    assert shared.stdout.count("\n") == len(TEXTS)
    for more, message in ((["--stream"], "--workers: no effect where texts are decoded one by one"),):
        found = run(cli.app, [bundle, "--workers", "3", *more], input="a")
        assert (found.exit_code, found.stderr) == (2, f"error: {message}\n")

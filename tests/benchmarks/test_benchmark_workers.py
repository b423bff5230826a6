"""How peers are asked, and what is accepted from them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from compare import Plan, compare, missing_files
from measuring.asked_process import PeerError
from measuring.cases import CASES, DEVICES, Cell, device_cases
from measuring.environments import PEERS, REQUIREMENTS
from measuring.measure import Worker, _gpus
from peers.interface import Ids, Problem, UnavailableError
from peers.worker import _load, _once, joined, wrong_rows

PROBLEM = Problem(
    model="none",
    shape="",
    start_id=2,
    end_id=3,
    padding_id=0,
    steps=3,
    sources=np.array([[5, 0, 0], [6, 7, 8], [9, 9, 0]]),
    expected={1: np.array([[5, 3, -1], [6, 6, 6], [9, 3, -1]])},
)


class Echo:
    """Writes a sentence's first symbol so long as the sentence is, then ends."""

    title = "echo"
    may_differ: dict[int, str] = {}  # noqa: RUF012

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def decode(self, sources: Ids, steps: int) -> Ids:
        """Note what was asked."""
        self.asked.append(sources[:, 0].tolist())
        return np.array([[row[0], 3 if 0 in row[1:2] else row[0]] for row in sources])


def test_sentences_are_decoded_longest_first_and_come_back_in_order() -> None:
    """What JoeyNMT needs inside a batch, and what keeps sentences of like length together."""
    peer: Any = Echo()
    tokens = joined(_once(peer, PROBLEM, batch=2, beam=1, count=3), 3, PROBLEM.steps)
    assert peer.asked == [[6, 9], [5]]
    assert tokens is not None
    assert tokens[:, 0].tolist() == [5, 6, 9]


def test_what_follows_an_end_token_is_not_compared() -> None:
    """A peer may go on until its whole batch has ended; up to the end every token counts."""
    expected = PROBLEM.expected[1]
    assert wrong_rows(np.array([[5, 3, 8], [6, 6, 6], [9, 3, 9]]), expected) == 0
    assert wrong_rows(np.array([[5, 3, 8], [6, 6, 5], [8, 3, 9]]), expected) == 2


@pytest.mark.parametrize(("may_differ", "accepted"), [({}, False), ({"1": "a reason"}, True)])
def test_other_tokens_need_a_reason(
    monkeypatch: pytest.MonkeyPatch, may_differ: dict[str, str], *, accepted: bool
) -> None:
    """A peer that differs without one is an error that says how often; with one it is counted."""
    worker = Worker.__new__(Worker)
    worker.name = "some peer"
    answers = iter([{"may_differ": may_differ}, {"seconds": [1.0], "wrong_rows": 2}])
    monkeypatch.setattr(worker, "ask", lambda **_: next(answers))
    worker.load(Path())
    if accepted:
        assert worker.decode(Cell(3), 1) == ([1.0], 2)
    else:
        with pytest.raises(PeerError, match="some peer: 2 of 3 sentences differ"):
            worker.decode(Cell(3), 1)


def test_a_peer_says_why_it_cant_run() -> None:
    """What a peer raises when it is loaded becomes its answer; the process goes on."""

    class Missing(Echo):
        def load(self, folder: Path, threads: int | None) -> None:
            raise UnavailableError("it needs a compiler")

    peer: Any = Missing()
    assert _load(peer, Path(), None) == {"title": "echo", "unavailable": "it needs a compiler"}


def test_every_peer_has_an_environment_and_a_file() -> None:
    """Each peer of each case can be started."""
    cases = [*CASES.values(), *(case for device in DEVICES for case in device_cases(device).values())]
    for peer in {peer for case in cases for peer in case.peers}:
        assert (REQUIREMENTS / f"{peer.split(':')[0]}.py").is_file()
        assert (REQUIREMENTS / f"requirements-{PEERS[peer]}.txt").is_file()


def test_problems_survive_their_file(tmp_path: Path) -> None:
    """Every peer reads the same problem."""
    PROBLEM.write(tmp_path)
    read = Problem.read(tmp_path)
    assert np.array_equal(read.sources, PROBLEM.sources)
    assert np.array_equal(read.expected[1], PROBLEM.expected[1])
    assert (read.end_id, read.products) == (3, [])


def test_real_text_says_what_it_lacks(tmp_path: Path) -> None:
    """Without its files real text is left out with a reason."""
    there, absent = tmp_path / "model.keras", tmp_path / "fra.txt"
    there.touch()
    assert missing_files(Plan(1, None, 0, None, None)) == "it needs --model FILE"
    assert missing_files(Plan(1, None, 0, there, absent)) == f"--pairs {absent}: no such file"
    assert missing_files(Plan(1, None, 0, there, there)) == ""


def test_unknown_cases_and_peers_are_refused() -> None:
    """Before anything is built, with the names that are known."""
    with pytest.raises(typer.BadParameter, match="got speed"):
        compare(only="canonical,speed")
    with pytest.raises(typer.BadParameter, match="got pytorch"):
        compare(only="canonical", peers="pytorch")


def test_gpus_are_hidden_from_all_but_the_peers_that_are_to_use_them() -> None:
    """Frameworks take what they see; who has a GPU may time the CPU all the same."""
    assert _gpus("torch_eager") == _gpus("ours:host-steps") == {"CUDA_VISIBLE_DEVICES": "-1"}
    assert _gpus("ours:cuda-float16") == {}

"""The applications in examples/, run as their readers would."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
import threading
import time
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from places import ROOT, TINY

from s2s_runtime import Model

EXAMPLES = ROOT / "examples"
TEXTS = ["abc", "de", "edcba", "b", "aab", "cd", "ee", "dcb"] * 4


def load_example(name: str) -> ModuleType:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


asyncio_decode = load_example("asyncio_decode")


class Counted:
    """A step model that counts the batches it encodes, and may wait to be let go on."""

    def __init__(self, model: Any, *, waits: bool = False) -> None:
        self.model = model
        self.batches: list[int] = []
        self.begun, self.go = threading.Event(), threading.Event()
        if not waits:
            self.go.set()

    def encode(self, source: np.ndarray) -> Any:
        """Count, then encode."""
        self.batches.append(len(source))
        self.begun.set()
        assert self.go.wait(60)
        return self.model.encode(source)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)


def test_the_asyncio_example_runs(tiny: Model) -> None:
    """Its command writes each text's beam search, then the first text's stream."""
    command = [sys.executable, str(EXAMPLES / "asyncio_decode.py"), str(TINY), "abc", "edcba"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    expected = [result.text for result in tiny.generate(["abc", "edcba"], beam_size=4)]
    assert done.stderr == ""
    assert done.stdout.splitlines() == [*expected, tiny.generate(["abc"])[0].text]


def test_a_cancelled_task_ends_its_call(tiny: Model) -> None:
    """Once the task is cancelled the search stops within a step, and the event loop never waits for it."""

    class Slow(Counted):
        steps = 0

        def step(self, *arguments: Any, **named: Any) -> Any:
            self.steps += 1
            time.sleep(0.01)
            return self.model.step(*arguments, **named)

    slow = Slow(tiny.step_model)
    model = Model(tiny.manifest, slow)

    async def run() -> int:
        task = asyncio.create_task(asyncio_decode.generate(model, TEXTS * 8, max_batch_size=1, engine="steps"))
        assert await asyncio.to_thread(slow.begun.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return slow.steps

    steps = asyncio.run(run())  # waits for the threads of the loop
    assert slow.steps <= steps + 1

    async def leave() -> str:
        async for piece in asyncio_decode.stream(model, "abc"):
            return piece
        return ""

    assert asyncio.run(leave()) == tiny.generate(["abc"])[0].text[0]

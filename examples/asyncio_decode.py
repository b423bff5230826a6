"""Decode in an asyncio application: `python examples/asyncio_decode.py model.s2s "Run!" "Go."`.

Decoding computes; it belongs in a thread, so that the event loop stays free. A model may be shared by any number of
them. When a task is cancelled (a client left, a time-out) its call ends within a few tokens.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Unpack

import s2s_runtime
from s2s_runtime import OptionValues


async def generate(
    model: s2s_runtime.Model, texts: Sequence[str], **options: Unpack[OptionValues]
) -> list[s2s_runtime.Result]:
    """`Model.generate` without blocking the event loop; cancelling the task cancels the call."""
    stop = threading.Event()
    options["cancel"] = stop
    try:
        return await asyncio.to_thread(model.generate, texts, **options)
    finally:
        stop.set()  # no effect on a call that has ended


async def stream(model: s2s_runtime.Model, text: str, **options: Unpack[OptionValues]) -> AsyncIterator[str]:
    """`Model.stream` as an asynchronous iterator; leaving it cancels the call."""
    stop = threading.Event()
    options["cancel"] = stop
    pieces = await asyncio.to_thread(model.stream, text, **options)
    try:
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece
    finally:
        stop.set()


async def main(bundle: str, texts: Sequence[str]) -> None:
    """Decode several lists at once, then one text piece by piece."""
    with s2s_runtime.load(bundle) as model:
        calls = (generate(model, [text], beam_size=4) for text in texts)
        for results in await asyncio.gather(*calls):
            print(results[0].text)
        async with asyncio.timeout(10):
            async for piece in stream(model, texts[0]):
                print(piece, end="", flush=True)
        print()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(f"usage: {sys.argv[0]} BUNDLE TEXT...")
    asyncio.run(main(sys.argv[1], sys.argv[2:]))

"""One loaded model, called from eight threads at once: each call gives what it gives alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from random import Random
from typing import Any

from harness import BrokenPromiseError, Case, Harness
from places import FIXTURES

import s2s_runtime
from s2s_runtime import Model

THREADS = 8
BUNDLES = ("tiny", "tiny-onehot", "tiny-probabilities")


@cache
def model(bundle: str) -> Model:
    """The model that all threads share, as a service has it."""
    return s2s_runtime.load(FIXTURES / f"{bundle}.s2s")


def make(random: Random) -> Case:
    """Draw requests of several kinds, and an order of them for each thread."""
    bundle = random.choice(BUNDLES)
    requests: list[dict[str, Any]] = []
    for _ in range(random.randrange(2, 9)):
        rows = [[random.randrange(1, 5) for _ in range(random.randrange(1, 7))] for _ in range(random.randrange(1, 5))]
        options: dict[str, Any] = {"max_length": random.randrange(1, 12), "return_scores": True}
        if bundle != "tiny-probabilities":
            options["beam_size"] = random.choice([1, 1, 2, 3])
        if random.random() < 0.2 and options.get("beam_size") == 1:
            options |= {"sampling_temperature": 0.8, "sampling_top_k": 3, "seed": random.randrange(100)}
        requests.append({"rows": rows, "options": options})
    orders = [[random.randrange(len(requests)) for _ in range(12)] for _ in range(THREADS)]
    return {"bundle": bundle, "requests": requests, "orders": orders}


def answer(case: Case, i: int) -> list[Any]:
    """What one request gives."""
    request = case["requests"][i]
    return [result.to_dict() for result in model(case["bundle"]).generate(request["rows"], **request["options"])]


def check(case: Case) -> str:
    """Call from all threads, and compare."""
    alone = [answer(case, i) for i in range(len(case["requests"]))]
    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(lambda order: [answer(case, i) for i in order], case["orders"]))
    wrong = sum(
        found != alone[i]
        for order, given in zip(case["orders"], answers, strict=True)
        for i, found in zip(order, given, strict=True)
    )
    if wrong:
        raise BrokenPromiseError(f"{wrong} of {THREADS * 12} calls gave something else than alone")
    return f"{THREADS} threads of 12 calls: equal"


HARNESS = Harness(name="threads", make=make, check=check, share=0.5)

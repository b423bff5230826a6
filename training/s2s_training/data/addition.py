"""Sums as text: "535+61" to "596" (Zaremba and Sutskever 2014; the Keras example "addition_rnn").

50,000 distinct sums, a+b and b+a counted as one; the last 10% are held out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any

import numpy as np

from s2s_training.config.data import DataConfig
from s2s_training.data.corpus import Corpus, Example, split_corpus
from s2s_training.errors import DataError

DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "rows": 50_000,
        "split": "last",
        "valid_fraction": 0.1,
        "test_fraction": 0.0,
        "kind": "repeat-vector",
        "units": 128,
        "embedding": 0,
        "padding": "space",
        "optimizer": "adam",
        "learning_rate": 0.001,
        "clip_norm": 0.0,
        "batch_size": 128,
        "epochs": 30,
        "buckets": 1,
    }
)


def load(config: DataConfig, seed: int) -> Corpus:
    """Return distinct sums of two numbers of up to `config.digits` digits, in random order.

    Args:
        config: the data section; `rows` says how many.
        seed: same seed, same sums.

    Raises:
        DataError: there are fewer distinct sums than rows.
    """
    numbers = 10**config.digits
    rows = config.rows or DEFAULTS["rows"]
    if rows > numbers * (numbers + 1) // 2:
        raise DataError(
            f"rows: there are only {numbers * (numbers + 1) // 2} distinct sums of {config.digits} digits, got {rows}"
        )
    examples = islice(_distinct_sums(config.digits, np.random.default_rng(seed)), rows)
    return split_corpus(examples, config.split, config.valid_fraction, config.test_fraction)


def _distinct_sums(digits: int, generator: np.random.Generator) -> Iterator[Example]:
    """Yield distinct sums until every one has been seen.

    A number has 1 to `digits` digits, and each count of digits is equally likely.
    """
    seen: set[tuple[int, int]] = set()
    while True:
        lengths = generator.integers(1, digits + 1, size=(4096, 2))
        for a, b in generator.integers(0, 10**lengths).tolist():
            key = (min(a, b), max(a, b))
            if key not in seen:
                seen.add(key)
                yield Example(f"{a}+{b}", (str(a + b),))

"""Continuous sequences: a curve in, another curve out, both cut into windows.

Each data set is 100 points of two functions over one interval, and every window of 24 neighbouring points: 76 windows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

POINTS = 100
WINDOW = 24
Floats = NDArray[np.float32]
Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]

# As people publish it: LSTM 75 both sides, Adam, batches of 10, 35 epochs, mean squared error.
DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "units": 75,
        "embedding": 0,
        "epochs": 35,
        "batch_size": 10,
        "learning_rate": 0.001,
        "clip_norm": 0.0,
        "patience": 0,
        "buckets": 1,
        "select": "error",
    }
)


@dataclass(frozen=True)
class Curves:
    """A continuous data set: two functions over one interval.

    Attributes:
        first: start of the interval.
        last: end of the interval, a point of it.
        source: the function that is read.
        target: the function that is written.
        summary: one line for the help.
    """

    first: float
    last: float
    source: Curve
    target: Curve
    summary: str

    def windows(self) -> Windows:
        """Return all windows, in the order of their first points."""
        points = np.linspace(self.first, self.last, POINTS)
        cut = [
            np.lib.stride_tricks.sliding_window_view(values, WINDOW)[: POINTS - WINDOW].astype(np.float32)
            for values in (points, self.source(points), self.target(points))
        ]
        return Windows(cut[0], cut[1][..., None], cut[2][..., None])


@dataclass(frozen=True)
class Windows:
    """The windows of a continuous data set.

    Attributes:
        points: where the functions were taken, (windows, time) float32.
        sources: (windows, time, features) float32.
        targets: (windows, time, features) float32.
    """

    points: Floats
    sources: Floats
    targets: Floats

    def decoder_inputs(self) -> Floats:
        """Return the targets one step earlier, starting from 0: (windows, time, features), float32."""
        return np.concatenate([np.zeros_like(self.targets[:, :1]), self.targets[:, :-1]], axis=1)


SERIES: Mapping[str, Curves] = MappingProxyType(
    {
        "sine-cosine": Curves(-2 * np.pi, 2 * np.pi, np.sin, np.cos, "sine to cosine on [-2 pi, 2 pi]"),
        "damped": Curves(
            0.0,
            5 * np.pi,
            lambda x: np.exp(-x / 5) * np.cos(x),
            lambda x: np.exp(-x / 5) * np.sin(x),
            "a damped oscillation, exp(-x/5) cos x to exp(-x/5) sin x on [0, 5 pi]",
        ),
        "powers": Curves(0.0, 1.5, lambda x: x**2, lambda x: x**0.5, "x^2 to x^0.5 on [0, 1.5]"),
    }
)

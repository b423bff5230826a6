"""Calibration: how sure a bundle's model may be believed to be.

The manifest of a bundle that `s2s-calibrate` has seen to has::

    "calibration": {"temperature": 0.82,   logits are divided by it before probabilities are taken of them
                    "pairs": 450,          how many pairs it was fitted on
                    "loss_before": 0.213,  mean negative log-probability of a right token on them, at temperature 1
                    "loss_after": 0.195}   and at this one

No token that is written depends on it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from s2s_runtime.files.json_fields import Fields


@dataclass(frozen=True, slots=True)
class Calibration:
    """The temperature of a bundle's confidences, and what it was fitted on; the module describes the fields."""

    temperature: float
    pairs: int
    loss_before: float
    loss_after: float

    def to_dict(self) -> dict[str, object]:
        """Return the fields as the manifest has them."""
        return asdict(self)

    @classmethod
    def read(cls, fields: Fields) -> Calibration:
        """Read the fields; what is wrong with them is added to the problems."""
        names = ("temperature", "loss_before", "loss_after")
        numbers = {name: _number(fields, name) for name in names}
        if not numbers["temperature"] > 0:
            fields.problem("temperature", f"expected a number above 0, got {numbers['temperature']:g}")
        pairs = fields.counted("pairs", 1)
        fields.refuse_others()
        return cls(numbers["temperature"], pairs, numbers["loss_before"], numbers["loss_after"])


def _number(fields: Fields, name: str) -> float:
    value = fields.raw(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        fields.problem(name, f"expected a finite number, got {value!r}")
        return 1.0
    return float(value)

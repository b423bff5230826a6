"""Terms of s2s-tune: how it searches, and by what it compares. It needs no numpy, for which `--help` waits not."""

from collections.abc import Mapping
from typing import Final, Literal

Search = Literal["grid", "random"]
Metric = Literal["wer", "per", "bleu", "chrf"]
FIGURES: Final[Mapping[Metric, str]] = {
    "wer": "sequence_error_rate",
    "per": "token_error_rate",
    "bleu": "bleu",
    "chrf": "chrf",
}
"""The figure of an evaluation that each metric is."""
BETTER_HIGH: Final = ("bleu", "chrf")
"""The metrics of which more is better."""

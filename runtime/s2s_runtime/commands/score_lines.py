"""Scoring lines that hold a source and a target, separated by a tab."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from s2s_runtime.decoding.score_targets import Target, score_options, score_pairs
from s2s_runtime.decoding.text_files import numbers
from s2s_runtime.errors import InputError
from s2s_runtime.model import Model
from s2s_runtime.options import ScoreValues


@dataclass(frozen=True, slots=True)
class ScoreLines:
    """The work of scoring lines; a `Work` of `s2s_runtime.decoding.text_files`.

    Args:
        model: the model.
        options: how targets are scored.
        as_json: whether each pair gives a JSON object with all that is known; else score, tab, log-probability.

    Attributes:
        unknown: a counter of symbols of all pairs so far that the model doesn't know.
    """

    model: Model
    options: ScoreValues
    as_json: bool
    unknown: Counter[str] = field(default_factory=Counter, init=False)

    def __call__(self, lines: Sequence[str], first: int) -> str:
        """Return the text to write for some lines, a line for each.

        Raises:
            InputError: a line has no tab, or more than one.
        """
        pairs = [self._pair(line, first + i) for i, line in enumerate(lines)]
        sources, targets = [source for source, _ in pairs], [target for _, target in pairs]
        model = self.model
        given = (model.manifest, model.step_model, sources, targets, score_options(None, self.options))
        scores = score_pairs(*given, workers=model.workers, first=first)
        for score in scores:
            self.unknown.update(score.unknown_symbols)
        if self.as_json:
            objects = [{"text": line, **score.to_dict()} for line, score in zip(lines, scores, strict=True)]
            return "".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in objects)
        return "".join(f"{score.score:.4f}\t{score.log_probability:.4f}\n" for score in scores)

    def _pair(self, line: str, index: int) -> tuple[str | list[int], Target]:
        parts = line.split("\t")
        if len(parts) != 2 or not parts[0].strip():
            raise InputError(f"text {index + 1}: expected a source, a tab and a target, got {line!r}")
        manifest = self.model.manifest
        source, target = parts
        return (
            source if manifest.input_vocabulary is not None else numbers(source, f"text {index + 1}", "source"),
            target if manifest.target_vocabulary is not None else numbers(target, f"text {index + 1}", "target"),
        )

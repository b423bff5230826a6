"""What a model of one pass gives beside its first output: the intent of a sentence beside its slots, for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from s2s_runtime.bundle.specs import Kind, TargetSpec
from s2s_runtime.errors import VocabularyError
from s2s_runtime.files.json_fields import Fields
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary


@dataclass(frozen=True, slots=True)
class FurtherOutput:
    """An output beside the first.

    Args:
        target: what it gives, its name among it; an output for the whole sentence is a sequence of one.
        vocabulary: its symbols, where known.
    """

    target: TargetSpec
    vocabulary: Vocabulary | None = None

    def to_dict(self) -> dict[str, object]:
        """Return this output as it stands in the manifest."""
        return {"target": self.target.to_dict(), "vocabulary": self.vocabulary and self.vocabulary.to_dict()}

    @classmethod
    def read(cls, fields: Fields) -> FurtherOutput:
        """Read one output of the manifest; its problems are reported to `fields`."""
        target, given, vocabulary = TargetSpec.read(fields.child("target")), fields.raw("vocabulary", None), None
        try:
            vocabulary = None if given is None else Vocabulary.from_dict(given, "vocabulary")
        except VocabularyError as error:
            fields.problem("", str(error))
        fields.refuse_others()
        return cls(target, vocabulary)


def output_problems(kind: Kind, first: TargetSpec, further: Sequence[FurtherOutput]) -> list[str]:
    """Return what the outputs of a bundle contradict, one line for each."""
    names = [first.name, *(output.target.name for output in further)]
    if not further:
        return [] if first.name is None else ["target.name: expected none, as there is one output"]
    problems = []
    if kind != "one-pass":
        problems.append(f"outputs: expected none, as kind is {kind!r}")
    if None in names or "" in names or len(set(names)) < len(names):
        problems.append(f"outputs: expected different names, target.name among them, got {names}")
    for i, output in enumerate(further):
        where, target, vocabulary = f"outputs[{i}]", output.target, output.vocabulary
        problems += [f"{where}.{problem}" for problem in target.problems(kind)]
        if target.feedback not in ("none", "value"):
            problems.append(f"{where}.target.feedback: expected 'none' or 'value', got {target.feedback!r}")
        if vocabulary is not None and (len(vocabulary) != target.size or target.feedback == "value"):
            expected = "none for values" if target.feedback == "value" else f"{target.size} symbols (its target.size)"
            problems.append(f"{where}.vocabulary: expected {expected}, got {len(vocabulary)}")
    return problems

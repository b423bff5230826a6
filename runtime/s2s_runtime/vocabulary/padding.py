"""The padding policy of a model: the way to make rows of source ids equally long."""

# Annotations are there as what they are: they are compared with what the fields hold, when a bundle is loaded.

from dataclasses import dataclass
from typing import Literal, Self, cast

from s2s_runtime.declared_options.field_types import field_problems
from s2s_runtime.errors import VocabularyError
from s2s_runtime.files.json_fields import Fields

Side = Literal["right", "left"]


@dataclass(frozen=True)
class PaddingPolicy:
    """The way to make rows of source ids equally long; `s2s_runtime.vocabulary.vocabulary_file` tells the three kinds.

    Args:
        masked: whether the model masks padding itself, so that it never changes a result.
        id: source id that pads; -1 = a row of zeros of a one-hot model; None = the model reads values, not ids.
        side: where the padding goes.
        length: the padded length where it is fixed, or None.

    Raises:
        VocabularyError: a value is out of range, or masked padding isn't on the right.
    """

    masked: bool
    id: int | None = None
    side: Side = "right"
    length: int | None = None

    def __post_init__(self) -> None:
        problems = field_problems(self)
        if problems:
            raise VocabularyError("padding: " + "; ".join(problems))
        if self.id is not None and self.id < -1:
            problems.append(f"id: expected a source id, or -1 for a row of zeros, got {self.id}")
        if self.length is not None and self.length < 1:
            problems.append(f"length: expected at least 1 or null, got {self.length}")
        if self.masked and self.side == "left":
            problems.append("side: masked padding has to be on the right, got 'left'")
        if problems:
            raise VocabularyError("padding: " + "; ".join(problems))

    def to_dict(self) -> dict[str, object]:
        """Return the policy as it stands in `vocab.json`."""
        return {"masked": self.masked, "id": self.id, "side": self.side, "length": self.length}

    @classmethod
    def from_dict(cls, data: object, default_id: int | None = None) -> Self:
        """Read the `padding` object of `vocab.json`; `default_id` stands in where it has no `id`.

        Raises:
            VocabularyError: names every field that is missing or has a wrong value.
        """
        problems: list[str] = []
        fields = Fields(data, "padding", problems)
        masked = fields.boolean("masked")
        padding_id = fields.optional_integer("id", default_id)
        side = fields.choice("side", ("right", "left"), "right")
        length = fields.optional_integer("length", None)
        fields.refuse_others()
        if problems:
            raise VocabularyError("; ".join(problems))
        return cls(masked, padding_id, cast("Side", side), length)


def without_padding(ids: list[int], padding: int | None) -> list[int]:
    """Return ids without the padding id at either end; all of them where `padding` is None."""
    if padding is None:
        return ids
    start, stop = 0, len(ids)
    while start < stop and ids[start] == padding:
        start += 1
    while stop > start and ids[stop - 1] == padding:
        stop -= 1
    return ids[start:stop]

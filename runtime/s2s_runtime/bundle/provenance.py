"""Provenance: how it is known what a bundle's model was fed with.

Graphs are compared with Keras; nothing in them says what filled short sources, on which side and to what length, which
tokens start and end a target, or where the loop of the model's author stopped. The manifest records each of these with
where it is known from::

    "setup": {
      "summary": "set-up proved by 20 expected outputs",    for whoever reads this file
      "proved_by": 20,       expected outputs that the bundle gives, every one; 0 = none were given
      "items": [{"name": "padding",
                 "value": "rows of zeros",       as a person reads it
                 "origin": "pairs",              one of `ORIGINS`
                 "option": "--padding",          of s2s-export, which settles it; "" where nothing has to
                 "others": [],                   values with which every expected output comes out too
                 "signs": [{"what": "probability of ' ' after the end of the target", "figure": "0.05",
                            "says": "rows of zeros"}]}]       "" where the figure is too weak to say anything
    }

Bundles written before this was recorded hold null, or nothing: their set-up is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, cast

from s2s_runtime.files.json_fields import Fields

Origin = Literal["proved", "given", "recorded", "model", "pairs", "assumed"]

ORIGINS: Final[Mapping[Origin, str]] = {
    "proved": "proved by expected outputs",
    "given": "given by you",
    "recorded": "said by the vocabulary file",
    "model": "seen in the model",
    "pairs": "told by the pairs",
    "assumed": "assumed",
}
UNKNOWN: Final = "unknown: this bundle was written before set-ups were recorded"


class Sign(NamedTuple):
    """A measurement that speaks for or against a set-up.

    Attributes:
        what: what was measured.
        figure: what came out, with its unit where it has one.
        says: the value it speaks for; "" where the figure is too weak to tell.
    """

    what: str
    figure: str
    says: str

    def __str__(self) -> str:
        return f"{self.what}: {self.figure}" + (f" ({self.says})" if self.says else " (tells nothing)")

    def to_dict(self) -> dict[str, object]:
        """Return this sign as it stands in the manifest."""
        return {"what": self.what, "figure": self.figure, "says": self.says}

    @classmethod
    def read(cls, fields: Fields) -> Sign:
        """Read one sign of the manifest; its problems are reported to `fields`."""
        made = cls(fields.text("what"), fields.text("figure"), fields.text("says"))
        fields.refuse_others()
        return made


class SetUpItem(NamedTuple):
    """One thing that a model's graphs don't tell, and how it is known.

    Attributes:
        name: what it is, such as "padding".
        value: what it is taken to be, as a person reads it.
        origin: how it is known; `ORIGINS` says it in words.
        option: the option of s2s-export that settles it; "" where nothing has to.
        signs: what was measured.
        others: values with which every expected output comes out too: what these don't tell.
    """

    name: str
    value: str
    origin: Origin
    option: str = ""
    signs: tuple[Sign, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def untold(self) -> str:
        """What expected outputs leave open of this item, in words."""
        if not self.others:
            return "which they don't tell"
        *most, last = self.others
        return f"{', '.join(most)} and {last} give them too" if most else f"{last} gives them too"

    def to_dict(self) -> dict[str, object]:
        """Return this item as it stands in the manifest."""
        signs = [sign.to_dict() for sign in self.signs]
        item: dict[str, object] = {"name": self.name, "value": self.value, "origin": self.origin, "option": self.option}
        return {**item, "signs": signs, "others": list(self.others)}

    @classmethod
    def read(cls, fields: Fields) -> SetUpItem:
        """Read one item of the manifest; its problems are reported to `fields`."""
        origin = cast("Origin", fields.choice("origin", tuple(ORIGINS)))
        signs = tuple(Sign.read(item) for item in fields.children("signs", []))
        others = tuple(str(value) for value in fields.items("others", []))
        made = cls(fields.text("name"), fields.text("value"), origin, fields.text("option", ""), signs, others)
        fields.refuse_others()
        return made


@dataclass(frozen=True)
class Provenance:
    """The record of how the set-up of a bundle is known, item by item.

    Attributes:
        items: what the graphs don't tell.
        proved_by: how many expected outputs the bundle gives, every one of them; 0 = none were given.
    """

    items: tuple[SetUpItem, ...]
    proved_by: int = 0

    @property
    def assumed(self) -> tuple[SetUpItem, ...]:
        """The items that are assumed because most models are fed so; nothing else speaks for them."""
        return tuple(item for item in self.items if item.origin == "assumed")

    @property
    def summary(self) -> str:
        """One line on how the set-up is known, and which option would settle what is assumed.

        The word proved stands alone where every item is proved, or given by the caller; the others follow it otherwise.

        >>> Provenance((SetUpItem("padding", "rows of zeros", "assumed", "--padding"),)).summary
        'set-up assumed: padding (--padding settles it)'
        >>> side = SetUpItem("padding side", "right", "assumed", "--padding-side", others=("left",))
        >>> Provenance((side,), proved_by=20).summary.partition(", but for ")[2]
        'padding side: right assumed, left gives them too (--padding-side settles it, or more lines)'
        """
        parts = [self._proved()] if self.proved_by else []
        for origin in ORIGINS:
            items = [item for item in self.items if item.origin == origin]
            if items and origin != "proved" and (origin == "given" or not self.proved_by):
                settles = _settles(items) if origin == "assumed" else ""
                parts.append(f"{ORIGINS[origin]}: {', '.join(item.name for item in items)}{settles}")
        return f"set-up {'; '.join(parts)}" if parts else "set-up: the graphs leave nothing open"

    @property
    def headline(self) -> str:
        """The line that stands below a table of the items: what is proved, else which ones nothing speaks for.

        >>> length = SetUpItem("source length", "16", "given", "--source-length")
        >>> Provenance((SetUpItem("padding", "rows of zeros", "assumed", "--padding"), length)).headline
        'set-up assumed: padding (--padding settles it)'
        >>> Provenance((length,)).headline
        'set-up given by you'
        """
        if self.proved_by or not self.items:
            return self.summary
        if self.assumed:
            return Provenance(self.assumed).summary
        return f"set-up {', '.join(ORIGINS[origin] for origin in ORIGINS if origin in {i.origin for i in self.items})}"

    def _proved(self) -> str:
        """How many expected outputs prove the set-up, and for which items they don't."""
        proved = f"proved by {self.proved_by} expected {'output' if self.proved_by == 1 else 'outputs'}"
        open_items = [item for item in self.items if item.origin not in ("proved", "given")]
        if not open_items:
            return proved
        each = [f"{item.name}: {item.value} {ORIGINS[item.origin]}, {item.untold}" for item in open_items]
        settles = _settles(open_items).removesuffix(")")
        return f"{proved}, but for {'; '.join(each)}{f'{settles}, or more lines)' if settles else ' (more lines tell)'}"

    def to_dict(self) -> dict[str, object]:
        """Return the provenance as it stands in the manifest."""
        items = [item.to_dict() for item in self.items]
        return {"summary": self.summary, "proved_by": self.proved_by, "items": items}

    @classmethod
    def read(cls, fields: Fields) -> Provenance:
        """Read the provenance of a manifest; its problems are reported to `fields`."""
        items = tuple(SetUpItem.read(item) for item in fields.children("items"))
        fields.text("summary", "")  # said again of the items, for who reads the file
        made = cls(items, fields.counted("proved_by"))
        fields.refuse_others()
        return made


def _settles(items: Sequence[SetUpItem]) -> str:
    """Which options settle items, as the end of a line; "" where none has to."""
    options = ", ".join(dict.fromkeys(item.option for item in items if item.option))
    return f" ({options} {'settle them' if len(items) > 1 else 'settles it'})" if options else ""

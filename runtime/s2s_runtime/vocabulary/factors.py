"""Source factors: what stands beside each symbol of a text, as in "the|DET cat|NOUN" (Sennrich and Haddow 2016).

A text is cut at white space into words, and each of these at the separator, into the word and its factors. The word is
cut into symbols as the unit says, each of which has the factors of its word. Where the unit is "char" the space between
two words is a symbol too, with the factors of the word before it.
"""

# Annotations are there as what they are: they are compared with what the fields hold, when a bundle is loaded.

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from s2s_runtime.errors import InputError, VocabularyError
from s2s_runtime.files.json_fields import Fields
from s2s_runtime.options.types import UnknownPolicy
from s2s_runtime.spelling import counted, shown
from s2s_runtime.vocabulary.given import check_policy, check_text
from s2s_runtime.vocabulary.vocabulary import Vocabulary

_SPACE: Final = " "


class Units(NamedTuple):
    """A text in symbols, each with its factors.

    Attributes:
        symbols: of the words, in the order of the text.
        ids: the id of each, None where the vocabulary lacks it.
        factors: the factors of each.
    """

    symbols: list[str]
    ids: list[int | None]
    factors: list[tuple[str, ...]]

    def part(self, first: int, stop: int | None) -> "Units":
        """Return the symbols from index `first` to before index `stop`."""
        return Units(self.symbols[first:stop], self.ids[first:stop], self.factors[first:stop])


class FactoredIds(NamedTuple):
    """A text in ids.

    Attributes:
        ids: of its symbols.
        factors: for each factor as many ids.
        missing: the symbols that the vocabulary lacks, factors with the separator before them.
    """

    ids: list[int]
    factors: list[list[int]]
    missing: list[str]


@dataclass(frozen=True, repr=False)
class Factor(Vocabulary):
    """The symbols of one factor.

    Args:
        name: of the model's input that reads it.
    """

    name: str = "factor"

    @property
    def unit_name(self) -> str:
        """What one of the symbols is, in a word."""
        return "factor"

    def to_dict(self) -> dict[str, object]:
        """Return this factor as it stands in `vocab.json`."""
        named = {"name": self.name, "symbols": list(self.symbols)}
        return {**named, "padding": self.padding, "unknown": self.unknown}

    @classmethod
    def read(cls, given: Fields, where: str) -> Self:
        """Read one factor of `vocab.json`; problems of single fields are reported to `given`.

        Raises:
            VocabularyError: the symbols contradict each other.
        """
        name, symbols = given.text("name"), given.texts("symbols")
        padding, unknown = (given.optional_text(each, None) for each in ("padding", "unknown"))
        given.refuse_others()
        try:
            return cls("symbol", symbols, padding=padding, unknown=unknown, name=name)
        except VocabularyError as error:
            raise VocabularyError(f"{where}: {error}") from error


@dataclass(frozen=True, repr=False)
class FactoredVocabulary(Vocabulary):
    """The symbols of a source whose texts have factors, and how such text is cut.

    Args:
        factors: what stands behind each word, in this order.
        separator: what stands between a word and its factors.

    Raises:
        VocabularyError: as of every vocabulary; no factors, two of one name, or a separator that is white space.
    """

    factors: tuple[Factor, ...] = ()
    separator: str = "|"
    _plain: Vocabulary = field(init=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "factors", tuple(self.factors))
        object.__setattr__(self, "factor_names", tuple(factor.name for factor in self.factors))
        object.__setattr__(self, "_plain", Vocabulary(**own_fields(self)))

    @property
    def form(self) -> str:
        """What a word looks like, for messages: "word|factor_1|factor_2"."""
        return self.separator.join(("word", *self.factor_names))

    def _problems(self) -> list[str]:
        problems = super()._problems()
        if not self.factors:
            problems.append("factors: expected at least one")
        names = [factor.name for factor in self.factors]
        if len(set(names)) < len(names):
            problems.append(f"factors: expected different names, got {', '.join(names)}")
        if not self.separator or self.separator.split() != [self.separator]:
            problems.append(f"separator: expected characters that are no white space, got {shown(self.separator)}")
        named = {"start": self.start, "end": self.end, "separators": self.separators or None}
        problems += [
            f"{name}: has no factors, expected none where others have; got {shown(value)}"
            for name, value in named.items()
            if value is not None
        ]
        return problems

    def words(self, text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the words of a text, each with its factors.

        Raises:
            InputError: a word has more factors or fewer.
        """
        check_text(text)
        for place, token in enumerate(text.split()):
            word, *factors = token.split(self.separator)
            if len(factors) != len(self.factors) or not word or "" in factors:
                raise InputError(
                    f"expected {counted(len(self.factors), 'factor')} behind each word ({self.form}), "
                    f"got {shown(token)} as word {place + 1} of {shown(text)}"
                )
            yield word, tuple(factors)

    def without_factors(self, text: str) -> str:
        """Return the words of a text, with spaces between them, whatever stands behind each."""
        return _SPACE.join(token.split(self.separator)[0] for token in text.split())

    def units(self, text: str) -> Units:
        """Return the symbols of a text, each with its factors.

        Raises:
            InputError: a word has more factors or fewer.
        """
        units = Units([], [], [])
        for word, factors in self.words(text):
            if self.unit == "char" and units.symbols:
                units.symbols.append(_SPACE)
                units.ids.append(self.id_of(_SPACE))
                units.factors.append(units.factors[-1])
            symbols, ids = self._plain.symbol_ids(word)
            units.symbols.extend(symbols)
            units.ids.extend(ids)
            units.factors.extend([factors] * len(symbols))
        return units

    def resolve_units(self, units: Units, unknown: UnknownPolicy | None, text: str) -> FactoredIds:
        """Return the ids of symbols and factors; a symbol that is left out goes with its factors, and the reverse.

        Args:
            units: what `units` gave for the text, or a part of it.
            unknown: see `look_up`.
            text: for messages.

        Raises:
            UnknownSymbolError: a symbol or a factor is not in the vocabulary, and not to be replaced or left out.
        """
        symbols, ids = units.symbols, units.ids
        columns = [[row[place] for row in units.factors] for place in range(len(self.factors))]
        known = [list(map(factor.id_of, column)) for factor, column in zip(self.factors, columns, strict=True)]
        missing: list[str] = []
        if unknown == "skip" or (unknown is None and self.skip_unknown):
            missing = [symbol for symbol, token in zip(symbols, ids, strict=True) if token is None]
            missing += self._missing(columns, known)
            kept = [place for place, row in enumerate(zip(ids, *known, strict=True)) if None not in row]
            symbols, ids = [symbols[place] for place in kept], [ids[place] for place in kept]
            columns = [[column[place] for place in kept] for column in columns]
            known = [[column[place] for place in kept] for column in known]
        own, lacking = self.resolve(symbols, ids, unknown, text)
        beside = [
            factor.resolve(column, tokens, unknown, text)[0][:: -1 if self.reverse else 1]
            for factor, column, tokens in zip(self.factors, columns, known, strict=True)
        ]
        return FactoredIds(own, beside, [*missing, *lacking, *self._missing(columns, known)])

    def _missing(self, columns: Sequence[Sequence[str]], known: Sequence[Sequence[int | None]]) -> list[str]:
        return [
            self.separator + symbol
            for column, ids in zip(columns, known, strict=True)
            for symbol, token in zip(column, ids, strict=True)
            if token is None
        ]

    def own(self, missing: Sequence[str]) -> list[str]:
        """Return those of `missing` that are symbols of words, and no factors."""
        return [symbol for symbol in missing if self.separator not in symbol]

    def look_up_units(self, text: str, unknown: UnknownPolicy | None = None) -> FactoredIds:
        """Return the ids of a text's symbols and their factors; see `look_up`."""
        check_policy(unknown)
        return self.resolve_units(self.units(text), unknown, text)

    def look_up(self, text: str, unknown: UnknownPolicy | None = None) -> tuple[list[int], list[str]]:
        """Return the ids of a text's symbols without their factors, and what the vocabulary lacks."""
        found = self.look_up_units(text, unknown)
        return found.ids, found.missing

    def split(self, text: str) -> list[str]:
        """Cut a text into symbols, without their factors."""
        return self.units(text).symbols

    def symbol_ids(self, text: str) -> tuple[list[str], list[int | None]]:
        """Return the symbols of a text without factors, and the id of each, None where the vocabulary lacks it."""
        units = self.units(text)
        return units.symbols, units.ids

    def to_dict(self) -> dict[str, object]:
        """Return this side as it stands in `vocab.json`."""
        inputs = [factor.to_dict() for factor in self.factors]
        return {**super().to_dict(), "factors": {"separator": self.separator, "inputs": inputs}}

    @classmethod
    def from_dict(cls, data: object, where: str = "vocabulary", folder: Path | None = None) -> Self:
        """Read one side of `vocab.json`; see `Vocabulary.from_dict`.

        Raises:
            VocabularyError: names every field that is missing or has a wrong value.
            MissingExtraError: fields were left out that only sentencepiece can tell, and it is not installed.
        """
        problems: list[str] = []
        whole = Fields(data, where, problems).to_dict()
        given = Fields(whole.pop("factors", None), f"{where}.factors", problems)
        separator, inputs = given.text("separator", "|"), given.children("inputs")
        factors = tuple(Factor.read(item, f"{where}.factors.inputs[{place}]") for place, item in enumerate(inputs))
        given.refuse_others()
        plain = Vocabulary.from_dict(whole, where, folder)
        if problems:
            raise VocabularyError("; ".join(problems))
        try:
            return cls(**own_fields(plain), factors=factors, separator=separator)
        except VocabularyError as error:
            raise VocabularyError(f"{where}: {error}") from error


def own_fields(vocabulary: Vocabulary) -> dict[str, Any]:
    """Return the fields that a vocabulary has without factors, by name."""
    return {each.name: getattr(vocabulary, each.name) for each in fields(Vocabulary) if each.init}

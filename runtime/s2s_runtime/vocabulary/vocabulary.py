"""One side of a vocabulary: text to token ids and back. `vocabulary_file` documents units and fields."""

# Annotations are there as what they are: they are compared with what the fields hold, when a bundle is loaded.

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal, Self, cast, get_args

from s2s_runtime.declared_options.field_types import field_problems
from s2s_runtime.errors import UnknownSymbolError, VocabularyError
from s2s_runtime.files.json_fields import Fields
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.options.types import UnknownPolicy
from s2s_runtime.spelling import shown
from s2s_runtime.vocabulary.given import check_policy, check_text, listed_ids, listed_symbols, symbols_at
from s2s_runtime.vocabulary.padding import without_padding
from s2s_runtime.vocabulary.sentencepiece import PieceModel, read_model, to_base64, with_pieces

if TYPE_CHECKING:
    from s2s_runtime.vocabulary import phones, words
else:
    phones, words = LazyModule("vocabulary.phones"), LazyModule("vocabulary.words")

Unit = Literal["char", "word", "symbol", "phone", "sentencepiece"]
Normalization = Literal["NFC", "NFKC", "NFD", "NFKD"]

_BYTE_ORDER_MARK: Final = "\ufeff"  # before a list of symbols that was saved with one
_SAMPLE: Final = 12  # symbols that a repr shows
_UNIT_NAMES: Final = dict(char="character", word="word", symbol="symbol", phone="phone", sentencepiece="piece")


@dataclass(frozen=True)
class Vocabulary:
    """The symbols of one side and how text is cut into them.

    Args:
        unit: "char", "word", "symbol", "phone" or "sentencepiece"; see the module's documentation.
        symbols: the symbol of each id, distinct and not empty.
        padding: symbol that fills short rows, or None.
        unknown: symbol that stands for symbols not in the list; None = they are errors.
        start: symbol before the first token, or None.
        end: symbol after the last token, or None.
        normalization: Unicode normal form applied to text, or None.
        lowercase: whether text is lowercased.
        reverse: whether the order of tokens is reversed (sources only).
        removed: characters taken out of the text, after lowercasing and normalising.
        separators: characters at which text is cut; "" = any white space (unit "symbol" only).
        skip_unknown: whether symbols not in the list are left out, where no unknown symbol stands for them.
        model: content of the sentencepiece model, for that unit only.
        word_rule: how words are cut and joined, for unit "word"; see `s2s_runtime.vocabulary.words`.

    Raises:
        VocabularyError: symbols empty or not distinct, or a named symbol not among them.
    """

    factor_names: ClassVar[tuple[str, ...]] = ()  # the inputs that read what stands beside the symbols of a text
    unit: Unit
    symbols: tuple[str, ...]
    padding: str | None = None
    unknown: str | None = None
    start: str | None = None
    end: str | None = None
    normalization: Normalization | None = None
    lowercase: bool = False
    reverse: bool = False
    removed: str = ""
    separators: str = ""
    skip_unknown: bool = False
    model: bytes | None = field(default=None, repr=False)
    word_rule: int = 1
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)
    _left_out: frozenset[int | None] = field(init=False, repr=False, compare=False)
    _translation: dict[int, str | None] = field(init=False, repr=False, compare=False)
    _pieces: PieceModel | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if problems := field_problems(self):
            raise VocabularyError("; ".join(problems))
        object.__setattr__(self, "symbols", tuple(self.symbols))
        object.__setattr__(self, "_ids", {symbol: i for i, symbol in enumerate(self.symbols)})
        object.__setattr__(self, "_left_out", frozenset(map(self.id_of, (self.start, self.end, self.padding))))
        cuts = str.maketrans(dict.fromkeys(self.separators, self.separators[:1]))  # at one of them, once all are that
        object.__setattr__(self, "_translation", {**cuts, **str.maketrans("", "", self.removed)})
        object.__setattr__(self, "_pieces", None if self.model is None else PieceModel(self.model))
        if problems := self._problems():
            raise VocabularyError("; ".join(problems))

    def check_model(self) -> None:
        """Load the sentencepiece model, where there is one, and make sure that its pieces are among the symbols.

        Raises:
            MissingExtraError: sentencepiece is not installed.
            VocabularyError: the model can't be loaded, or cuts text into pieces that aren't symbols.
        """
        if self._pieces is not None:
            self._pieces.check_all_in(self._ids)

    def _problems(self) -> list[str]:
        problems = [] if self.word_rule == 1 else words.word_rule_problems(self.word_rule, self.unit)
        if (self.unit == "sentencepiece") != (self.model is not None):
            expected = "a sentencepiece model" if self.model is None else "none"
            problems.append(f"model: expected {expected}, as unit is {self.unit!r}")
        if self.separators and self.unit != "symbol":
            problems.append(f"separators: only unit 'symbol' has them, got unit {self.unit!r}")
        if self.skip_unknown and self.unknown is not None:
            problems.append(f"skip_unknown: expected false, as unknown is {self.unknown!r}")
        if not self.symbols:
            problems.append("symbols: expected at least one")
        if "" in self._ids:
            problems.append(f"symbols[{self._ids['']}]: expected a non-empty string, got ''")
        if len(self._ids) < len(self.symbols):
            twice = next(s for i, s in enumerate(self.symbols) if self._ids[s] != i)
            problems.append(f"symbols: {shown(twice)} occurs more than once; ids would be ambiguous")
        for name in ("padding", "unknown", "start", "end"):
            if (symbol := getattr(self, name)) is not None and symbol not in self._ids:
                problems.append(f"{name}: {shown(symbol)} is not among the symbols; add it there or set {name} to null")
        return problems

    def __repr__(self) -> str:
        shown = " ".join(map(repr, self.symbols[:_SAMPLE])) + (" ..." if len(self) > _SAMPLE else "")
        return f"<Vocabulary: {len(self)} {self.unit_name}s {shown}>"

    @property
    def unit_name(self) -> str:
        """What one of the symbols is, in a word: "character", "word", "symbol", "phone" or "piece"."""
        return _UNIT_NAMES[self.unit]

    @property
    def glue(self) -> str | None:
        """What `join` puts between symbols; None where they tell."""
        return {"char": "", "symbol": " "}.get(self.unit)

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def padding_id(self) -> int | None:
        """Id of the padding symbol, or None."""
        return self.id_of(self.padding)

    @property
    def unknown_id(self) -> int | None:
        """Id of the unknown symbol, or None."""
        return self.id_of(self.unknown)

    @property
    def start_id(self) -> int | None:
        """Id of the start symbol, or None."""
        return self.id_of(self.start)

    @property
    def end_id(self) -> int | None:
        """Id of the end symbol, or None."""
        return self.id_of(self.end)

    def id_of(self, symbol: str | None) -> int | None:
        """Return the id of a symbol, or None where it is none of this vocabulary."""
        return None if symbol is None else self._ids.get(symbol)

    def normalize(self, text: str) -> str:
        """Return the text lowercased, in normal form and without the removed characters, as this vocabulary says."""
        check_text(text)
        if self.lowercase:
            text = text.lower()  # before normalising: lowercasing can leave a text that is not in normal form
        text = unicodedata.normalize(self.normalization, text) if self.normalization else text
        return text.translate(self._translation) if self._translation else text

    def split(self, text: str) -> list[str]:
        """Cut a text into symbols, known or not, in the order of the text.

        >>> Vocabulary("word", ("<unk>",)).split("Don't go, Tom!")
        ["Don't", 'go', ',', 'Tom', '!']
        """
        text = self.normalize(text)
        if self.unit == "char":
            return list(text)
        if self._pieces is not None:
            return self._pieces.cut(text)
        if self.unit == "phone":
            return phones.cut_phones(text)
        if self.separators:
            return [symbol for symbol in text.split(self.separators[0]) if symbol]
        return words.cut_words(text, self.word_rule) if self.unit == "word" else text.split()

    def split_whole(self, text: str) -> list[str]:
        """Cut a text into the symbols that error rates count: those of `split`, but phones stay whole."""
        return self.normalize(text).split() if self.unit == "phone" else self.split(text)

    def encode(self, text: str, unknown: UnknownPolicy | None = None) -> list[int]:
        """Return the ids of a text's symbols, without start and end; reversed where `reverse` is set. See `look_up`."""
        return self.look_up(text, unknown)[0]

    def look_up(self, text: str, unknown: UnknownPolicy | None = None) -> tuple[list[int], list[str]]:
        """Return the ids of a text's symbols as `encode` does, and the symbols that the vocabulary lacks.

        Args:
            text: any text.
            unknown: what becomes of a symbol that the vocabulary lacks. "error": an error. "unk": the unknown symbol
                stands for it. "skip": it is left out. None = "unk" where there is an unknown symbol, "skip" where
                `skip_unknown` is set, else "error".

        Raises:
            UnknownSymbolError: a symbol is not in the vocabulary, and not to be replaced or left out.
        """
        check_policy(unknown)
        return self.resolve(*self.symbol_ids(text), unknown, text)

    def symbol_ids(self, text: str) -> tuple[list[str], list[int | None]]:
        """Return the symbols of a text, and the id of each, None where the vocabulary lacks it."""
        symbols = self.split(text)
        known = symbols if self._pieces is None else self._pieces.known(self.normalize(text), symbols)
        return symbols, list(map(self._ids.get, known))

    def resolve(
        self, symbols: Sequence[str], ids: Sequence[int | None], unknown: UnknownPolicy | None, text: str
    ) -> tuple[list[int], list[str]]:
        """Return what `look_up` does, of what `symbol_ids` gave for a text, or of a part of it."""
        missing: list[str] = []
        if None in ids:
            missing = [symbol for symbol, token in zip(symbols, ids, strict=True) if token is None]
            stand_in = None if unknown == "error" else self.unknown_id
            if unknown == "skip" or (unknown is None and self.skip_unknown):
                ids = [token for token in ids if token is not None]
            elif stand_in is None:
                raise UnknownSymbolError(self.unit_name, missing[0], ids.index(None), text, self.unknown)
            else:
                ids = [stand_in if token is None else token for token in ids]
        return cast("list[int]", list(ids[::-1] if self.reverse else ids)), missing

    def wrap(self, ids: Iterable[int]) -> list[int]:
        """Return the ids with the start id before and the end id after them, where this vocabulary has such symbols."""
        start, end = self.start_id, self.end_id
        return [*([] if start is None else [start]), *listed_ids(ids), *([] if end is None else [end])]

    def encode_sentence(self, text: str) -> list[int]:
        """Return the ids that a model reads for a text: `wrap(encode(text))`.

        A source sentence is fed like this. Of a target sentence, the decoder input is everything but the last id and
        the decoder target everything but the first.
        """
        return self.wrap(self.encode(text))

    def tokens(self, ids: Iterable[int]) -> list[str]:
        """Return the symbol of each id.

        Raises:
            VocabularyError: an id is outside the vocabulary.
        """
        return symbols_at(ids, self.symbols)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of a sequence of ids of target symbols.

        Start and end symbols and the padding at either end are left out; unknown symbols stay, spelled as in
        `symbols` (by sentencepiece as " \u2047 "). This is the inverse of `encode` where the unit allows: white space
        between words is not remembered.

        Raises:
            VocabularyError: an id is outside the vocabulary.
        """
        bare = listed_ids(ids)
        if self.decodes_whole(bare):
            return self.join(self.tokens(bare))
        start, end = self.start_id, self.end_id
        bare = [token for token in bare if token not in (start, end)][:: -1 if self.reverse else 1]
        return self.join(self.tokens(without_padding(bare, self.padding_id)))

    def decodes_whole(self, ids: Iterable[int]) -> bool:
        """Return whether `decode` joins the symbols of all these ids, in their order."""
        return not self.reverse and self._left_out.isdisjoint(ids)

    def join(self, symbols: Sequence[str]) -> str:
        """Join symbols to a text, as the unit says.

        >>> Vocabulary("word", ("<unk>",)).join(["He", "(", "Tom", ")", "left", "."])
        'He (Tom) left.'
        """
        listed = listed_symbols(symbols)
        if self._pieces is not None:
            return self._pieces.join(listed)
        if self.glue is not None:
            return self.glue.join(listed)
        if self.unit == "phone":
            return phones.join_phones(listed)
        return words.join_words(listed, self.word_rule)

    def to_dict(self) -> dict[str, object]:
        """Return this side as it stands in `vocab.json`."""
        return {
            "unit": self.unit,
            "symbols": list(self.symbols),
            "padding": self.padding,
            "unknown": self.unknown,
            "start": self.start,
            "end": self.end,
            "normalization": self.normalization,
            "lowercase": self.lowercase,
            "reverse": self.reverse,
            **{name: getattr(self, name) for name in ("removed", "separators", "skip_unknown") if getattr(self, name)},
            **({} if self.word_rule == 1 else {"word_rule": self.word_rule}),
            **({} if self.model is None else {"model": to_base64(self.model)}),
        }

    @classmethod
    def from_dict(cls, data: object, where: str = "vocabulary", folder: Path | None = None) -> Self:
        """Read one side of `vocab.json`.

        Args:
            data: the parsed JSON object.
            where: what to call it in messages.
            folder: the folder in which a `model_file` lies; None = it may not be given.

        Raises:
            VocabularyError: names every field that is missing or has a wrong value.
            MissingExtraError: fields were left out that only sentencepiece can tell, and it is not installed.
        """
        problems: list[str] = []
        fields = Fields(data, where, problems)
        model = read_model(fields, folder)
        if model is not None and not problems:
            fields = Fields(with_pieces(fields.to_dict(), PieceModel(model), where), where, problems)
            read_model(fields, folder)
        symbols = fields.texts("symbols")
        for i, symbol in enumerate(symbols):
            if len(symbol) > 1 and symbol[0] == _BYTE_ORDER_MARK and model is None:
                fields.problem(f"symbols[{i}]", f"begins with a byte order mark: {shown(symbol)}; no text is cut so")
        values = {
            "unit": fields.choice("unit", tuple(_UNIT_NAMES)),
            **{name: fields.optional_text(name, None) for name in ("padding", "unknown", "start", "end")},
            "lowercase": fields.boolean("lowercase", False),
            "reverse": fields.boolean("reverse", False),
            "removed": fields.text("removed", ""),
            "separators": fields.text("separators", ""),
            "skip_unknown": fields.boolean("skip_unknown", False),
            "model": model,
            "word_rule": fields.integer("word_rule", 1),
        }
        if fields.raw("normalization", None) is not None:
            values["normalization"] = fields.choice("normalization", get_args(Normalization))
        fields.refuse_others()
        if problems:
            raise VocabularyError("; ".join(problems))
        try:
            return cls(symbols=symbols, **values)  # type: ignore[arg-type]
        except VocabularyError as error:
            raise VocabularyError(f"{where}: {error}") from error

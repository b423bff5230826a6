"""Vocabularies: text to token ids and back, and the file that holds them.

`vocab.json` is written by training, read by the exporter, and simple enough to write by hand for a model that came
without one. The two sides and the padding policy are copied into the bundle's manifest in the same form:

    {
      "format": "s2s-vocabulary",
      "version": 1,
      "source": {
        "unit": "char",                        "char", "word", "symbol", "phone" or "sentencepiece": how text is cut
        "symbols": ["<pad>", "<unk>", "a"],    the symbol of each id: id = position in the list
        "padding": "<pad>",                    symbol that fills short rows, or null; default null
        "unknown": "<unk>",                    symbol that stands for all others, or null: unknown symbols are errors
        "start": null,                         symbol put before the tokens, or null
        "end": null,                           symbol put after the tokens, or null
        "normalization": "NFC",                "NFC", "NFKC", "NFD", "NFKD" or null: applied to text before cutting
        "lowercase": false,                    text is lowercased before cutting; default false
        "reverse": false,                      the order of the tokens is reversed; default false
        "removed": "",                         characters taken out of the text before it is cut; default none
        "separators": "",                      for "symbol": characters at which text is cut; default any white space
        "skip_unknown": false,                 symbols not in the list are left out; default false
        "word_rule": 2,                        for "word": which rule cuts and joins words, 1 or 2; default 1
        "model": "CrcB...",                    for "sentencepiece": what spm_train wrote as .model, in base64; or
        "model_file": "spm.model"              that file, beside vocab.json (what is written holds "model")
        "factors": {                           sources only: what stands beside each word of a text, as in "cat|NOUN"
          "separator": "|",                    what stands between a word and its factors; default "|"
          "inputs": [{"name": "factor_1",      the model's input that reads the first factor of each symbol
                      "symbols": ["<pad>", "<unk>", "DET", "NOUN"],     as above; so "padding" and "unknown"
                      "padding": "<pad>", "unknown": "<unk>"}]}
      },
      "target": { ... the same fields ... },
      "padding": {
        "masked": true,      true: the model masks padding itself. false: the model reads its padding
        "id": 0,             source id that pads; -1 = a row of zeros (one-hot models); default: id of source.padding
        "side": "right",     where padding goes: "right" or "left"; default "right"
        "length": null       fixed padded length; null = free
      },
      "max_length": 59       longest target in tokens, the end token counted; null or left out = unknown
    }

`source` or `target` is null where the model only knows numbers. Fields without a stated default are required, and
fields of other names are errors.

Units:

- `char`: each Unicode code point of the (normalised, lowercased) text is one symbol.
- `word`: words and punctuation marks by the regular expression `WORD_PATTERN`: a run of letters, digits and
  underscores, with inner apostrophes and hyphens ("don't", "well-known"), or one other non-space character. White
  space is dropped. `decode` joins words with spaces, without the space before closing and after opening punctuation.
  With `word_rule` 2, that of vocabularies made now, marks stay with their letters in every script, "3.14" is one word,
  and the punctuation of other scripts is joined as they write it.
- `symbol`: whatever white space separates, or the characters of `separators` (and these alone, such as the space and
  the filters of a Keras `Tokenizer`); `decode` joins with one space. For phones, or text tokenised elsewhere.
- `phone`: phones that white space separates, each without the modifier letters that end it (length, palatalisation,
  aspiration: Unicode category Lm), and these letters: "d\u02d0" is "d", "\u02d0". `decode` puts them together.
- `sentencepiece`: pieces of a sentencepiece model, cut and joined by the package of that name (the extra
  `s2s-runtime[sentencepiece]`). `symbols`, `padding` and `unknown`, where left out, are the model's own pieces, in the
  order of its ids. Symbols in another order, with others between them, suit a network whose ids aren't the model's;
  every piece that a text can be cut into has to be among them. What the model doesn't know is one unknown symbol;
  `decode` spells it " \u2047 ", as sentencepiece does. By hand:
  `{"unit": "sentencepiece", "model_file": "spm.model", "end": "</s>"}`.

The named symbols are ordinary members of `symbols`. In the canonical character translator `start` is a tab and `end`
a line feed; there the padding policy has id -1 (rows of zeros), or the id of the space character.

Padding policies:

- masked, length null: short rows are filled with `id`, any length goes. Only right padding can be masked by ONNX
  recurrent layers, so rows must not hold `id` before or between real tokens.
- not masked, length n: the padding is part of what the model learned; every row is padded to n, and a longer row is
  an error, never a truncation.
- not masked, length null: nothing may be padded; only sentences of equal length share a batch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from s2s_runtime.declared_options.field_types import field_problems
from s2s_runtime.errors import UnknownSymbolError, VocabularyError, raised_as
from s2s_runtime.files.json_fields import Fields, read_json, write_json
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.spelling import shown
from s2s_runtime.vocabulary.padding import PaddingPolicy
from s2s_runtime.vocabulary.vocabulary import Normalization, Unit, Vocabulary
from s2s_runtime.vocabulary.words import WORD_PATTERN

if TYPE_CHECKING:
    from s2s_runtime.vocabulary import factors
else:
    factors = LazyModule("vocabulary.factors")

__all__ = [
    "WORD_PATTERN",
    "Normalization",
    "PaddingPolicy",
    "Unit",
    "UnknownSymbolError",
    "Vocabulary",
    "VocabularyError",
    "VocabularyFile",
]

FORMAT: Final = "s2s-vocabulary"
VERSION: Final = 1


@dataclass(frozen=True)
class VocabularyFile:
    """The content of `vocab.json`: both sides, the padding policy and the longest target.

    Args:
        source: the source side, or None where the model only knows numbers.
        target: the target side, or None.
        padding: how source rows are padded.
        max_length: longest target in tokens, the end token counted, or None where unknown.
    """

    source: Vocabulary | None
    target: Vocabulary | None
    padding: PaddingPolicy
    max_length: int | None = None

    def __post_init__(self) -> None:
        problems = field_problems(self)
        if problems:
            raise VocabularyError("; ".join(problems))
        if self.max_length is not None and self.max_length < 1:
            problems.append(f"max_length: expected at least 1 or null, got {self.max_length}")
        if self.target is not None and self.target.factor_names:
            problems.append("target.factors: expected none, as sources alone have them")
        if self.source is not None and (self.padding.id is not None and self.padding.id >= len(self.source)):
            problems.append(
                f"padding.id: expected -1 to {len(self.source) - 1} (source.symbols), got {self.padding.id}"
            )
        fills = self.padding.masked or self.padding.length is not None
        if self.source is not None and fills and self.padding.id is None:
            problems.append("padding.id: expected an id (or -1 for rows of zeros), as source.padding is null; got null")
        if problems:
            raise VocabularyError("; ".join(problems))

    def to_dict(self) -> dict[str, object]:
        """Return the content of `vocab.json`."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "source": None if self.source is None else self.source.to_dict(),
            "target": None if self.target is None else self.target.to_dict(),
            "padding": self.padding.to_dict(),
            "max_length": self.max_length,
        }

    @classmethod
    def from_dict(cls, data: object, folder: Path | None = None) -> VocabularyFile:
        """Read the content of `vocab.json`.

        Args:
            data: the parsed JSON object.
            folder: the folder in which a `model_file` lies; None = no file may be named.

        Raises:
            VocabularyError: names every field that is missing or has a wrong value.
            MissingExtraError: a side needs sentencepiece and it is not installed.
        """
        problems: list[str] = []
        fields = Fields(data, "", problems)
        if fields.raw("format", None) != FORMAT:
            fields.problem("format", f"expected {FORMAT!r}, got {shown(fields.raw('format', None))}")
        version = fields.integer("version")
        if version != VERSION and not problems:
            fields.problem("version", f"this version reads {VERSION}, got {version}; use a newer s2s-runtime")
        max_length = fields.optional_integer("max_length", None)
        source, target = (_side(fields, name, problems, folder) for name in ("source", "target"))
        padding_fields = fields.raw("padding", None)
        fields.refuse_others()
        try:
            padding = PaddingPolicy.from_dict(padding_fields, None if source is None else source.padding_id)
            if not problems:
                return cls(source, target, padding, max_length)
        except VocabularyError as error:
            problems.append(str(error))
        raise VocabularyError("; ".join(problems))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> VocabularyFile:
        """Read a `vocab.json`.

        Raises:
            FileNotFoundError: there is no such file.
            VocabularyError: the file isn't JSON, or names every field that is missing or has a wrong value.
            MissingExtraError: a side needs sentencepiece and it is not installed.
        """
        with raised_as(VocabularyError):
            content = read_json(path)
        try:
            return cls.from_dict(content, Path(path).parent)
        except VocabularyError as error:
            raise VocabularyError(f"{path}: {error}") from error

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write a `vocab.json`: under another name first, then renamed, so that a reader never sees half a file."""
        write_json(Path(path), self.to_dict())


def _side(fields: Fields, name: str, problems: list[str], folder: Path | None) -> Vocabulary | None:
    data = fields.raw(name)
    if data is None:
        return None
    try:
        has_factors = name == "source" and isinstance(data, Mapping) and data.get("factors") is not None
        side = (factors.FactoredVocabulary if has_factors else Vocabulary).from_dict(data, name, folder)
        side.check_model()
        return side
    except VocabularyError as error:
        problems.append(str(error))
        return None

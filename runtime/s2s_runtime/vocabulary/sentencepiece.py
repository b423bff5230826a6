"""Sentencepiece models inside vocabularies (Kudo and Richardson 2018).

The package sentencepiece is an extra, imported when a text is first cut or joined. Everything it does to text is its
own: this module passes texts and pieces through and tells which of its ids is which symbol.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from s2s_runtime.errors import MissingExtraError, VocabularyError
from s2s_runtime.files.json_fields import Fields

SPACE: Final = "\u2581"  # how sentencepiece spells a space inside pieces
_FIELDS: Final = {"pieces": "symbols"}  # fields of a vocabulary that are called otherwise than what tells them


class PieceModel:
    """A sentencepiece model, loaded when it is first used.

    Args:
        content: what `spm_train` wrote into its `.model` file.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content

    @cached_property
    def _processor(self) -> Any:  # its classes are made by a binding generator
        """The loaded model.

        Raises:
            MissingExtraError: sentencepiece is not installed.
            VocabularyError: the content is no such model.
        """
        try:
            module = importlib.import_module("sentencepiece")
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                "sentencepiece is not installed: pip install 's2s-runtime[sentencepiece]'"
            ) from error
        try:
            processor = module.SentencePieceProcessor(model_proto=self._content)
        except RuntimeError as error:
            raise VocabularyError(f"model: expected a sentencepiece model: {str(error).splitlines()[0]}") from error
        if not processor.get_piece_size():
            raise VocabularyError(
                f"model: expected a sentencepiece model, got {len(self._content)} bytes without pieces"
            )
        return processor

    @cached_property
    def pieces(self) -> tuple[str, ...]:
        """Every piece, in the order of the model's ids."""
        return tuple(self._processor.id_to_piece(list(range(self._processor.get_piece_size()))))

    @property
    def unknown(self) -> str:
        """The piece that stands for what the model doesn't know."""
        number: int = self._processor.unk_id()
        return self.pieces[number]

    @property
    def padding(self) -> str | None:
        """The piece that pads, or None."""
        number: int = self._processor.pad_id()
        return None if number < 0 else self.pieces[number]

    def check_all_in(self, symbols: Collection[str]) -> None:
        """Make sure that whatever text is cut into is among the symbols of a vocabulary.

        Raises:
            VocabularyError: some of it isn't.
        """
        missing = [piece for piece in self.written() if piece not in symbols]
        if missing:
            raise VocabularyError(
                f"symbols: expected every piece of the sentencepiece model, {len(missing)} are missing, such as "
                f"{missing[0]!r}; leave symbols out to take the model's pieces in its order"
            )

    def written(self) -> list[str]:
        """Return the pieces that a text can be cut into: not control pieces, and not the piece for the unknown."""
        model = self._processor
        return [
            piece
            for number, piece in enumerate(self.pieces)
            if not (model.is_control(number) or model.is_unknown(number) or model.is_unused(number))
        ]

    def cut(self, text: str) -> list[str]:
        """Return the pieces of a text; what the model doesn't know is a piece as it is spelled."""
        return list(self._processor.encode(text, out_type=str))

    def known(self, text: str, pieces: Sequence[str]) -> Sequence[str]:
        """Return the pieces of a text as `cut` gives them, with "" for each piece that the model doesn't know.

        What is unknown may be spelled as some control piece is, and must not be read as that.
        """
        if self._known.issuperset(pieces) and self._controls.isdisjoint(pieces):
            return pieces
        unknown = self._processor.unk_id()
        numbers = self._processor.encode(text)
        return ["" if number == unknown else piece for number, piece in zip(numbers, pieces, strict=True)]

    def join(self, symbols: Sequence[str]) -> str:
        """Return the text of a sequence of pieces; symbols that aren't pieces stand as they are, between spaces."""
        known = self._known
        given = [symbol if symbol in known else symbol.replace(SPACE, " ") for symbol in symbols]
        if given and symbols[0] not in known:
            given[0] = given[0].removeprefix(" ")
        return str(self._processor.decode(given))

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.pieces)

    @cached_property
    def _controls(self) -> frozenset[str]:
        return self._known.difference(self.written())


def to_base64(content: bytes) -> str:
    """Return a model as it stands in `vocab.json`."""
    encoded: bytes = importlib.import_module("base64").b64encode(content)  # here: most vocabularies have no model
    return encoded.decode("ascii")


def read_model(fields: Fields, folder: Path | None) -> bytes | None:
    """Return the model of a vocabulary's side, given in base64 or in a file of its own; None where there is none.

    Args:
        fields: the side's fields; problems are reported to it.
        folder: the folder in which the file lies; None = no file may be named.
    """
    file, text = fields.optional_text("model_file", None), fields.optional_text("model", None)
    if file is not None and (folder is None or text is not None):
        expected = "no model_file outside vocab.json" if folder is None else "model or model_file, not both"
        fields.problem("model_file", f"expected {expected}; got {file!r}")
    elif file is not None and folder is not None:
        try:
            return (folder / file).read_bytes()
        except OSError as error:
            fields.problem("model_file", f"expected a sentencepiece model beside vocab.json: {error}")
    elif text is not None:
        try:
            content: bytes = importlib.import_module("base64").b64decode(text, validate=True)
        except ValueError as error:
            fields.problem("model", f"expected a sentencepiece model in base64: {error}")
        else:
            return content
    return None


def with_pieces(given: Mapping[str, object], model: PieceModel, where: str) -> dict[str, object]:
    """Return the fields of a side, those that were left out filled in from the model.

    Raises:
        MissingExtraError: some were left out and sentencepiece is not installed.
        VocabularyError: the model can't be loaded; the message names the side by `where`.
    """
    left_out = [name for name in ("pieces", "padding", "unknown") if _FIELDS.get(name, name) not in given]
    try:
        return {**given, **{_FIELDS.get(name, name): getattr(model, name) for name in left_out}}
    except VocabularyError as error:
        raise VocabularyError(f"{where}: {error}") from error

"""How a text layer reads, in a vocabulary's terms, and whether the two really read alike.

A vocabulary says less than a text layer can do. What it can't say at all is refused; where only some texts are read
otherwise, that is noted. The layer itself is the judge: its ids are compared with the vocabulary's for every word it
knows and for the texts of the verification.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from s2s_export.errors import ExportError
from s2s_runtime.spelling import option
from s2s_runtime.vocabulary.vocabulary_file import Unit, Vocabulary

_PADDING = "<pad>"
_SPACES = " \t\n\v\f\r"  # where TensorFlow cuts


def _instead() -> str:
    return (
        f"give {option('vocab', 'FILE')}, which says how its text is cut, or save the part behind the layer as a "
        "model of its own and decode from ids"
    )


def refuse_other_than_ids(layer: Any) -> None:
    """Refuse a `TextVectorization` or `StringLookup` that gives something other than one id per symbol.

    Raises:
        ExportError: it does.
    """
    lookup, name = _lookup(layer), _name(layer)
    if lookup.output_mode != "int":
        raise ExportError(f"{name} has output_mode={lookup.output_mode!r}; expected 'int', one id per token")
    if lookup.num_oov_indices > 1 or getattr(layer, "_ngrams", None) is not None:
        raise ExportError(f"{name} makes n-grams or several unknown ids; a bundle's vocabulary has one id per symbol")


def vocabulary_of(layer: Any) -> Vocabulary:
    """Return the vocabulary of a text layer.

    Where an empty string pads, as in every `TextVectorization`, it gets a name.

    Raises:
        ExportError: the layer cuts text as no vocabulary does.
    """
    lookup = _lookup(layer)
    symbols = [str(symbol) for symbol in layer.get_vocabulary()]
    padding = lookup.mask_token
    if padding == "":
        padding = _PADDING
        while padding in symbols:  # an ordinary word of this vocabulary
            padding = f"<{padding}>"
        symbols[0] = padding
    unknown = lookup.oov_token if lookup.num_oov_indices else None
    unit, standardize = _unit(layer), getattr(layer, "_standardize", None)
    named = standardize if isinstance(standardize, str) else ""
    return Vocabulary(
        unit,
        tuple(symbols),
        padding=padding,
        unknown=unknown,
        lowercase=named.startswith("lower"),
        removed=string.punctuation if "strip_punctuation" in named else "",
        separators=_SPACES if unit == "symbol" and getattr(layer, "_split", None) else "",
    )


def _lookup(layer: Any) -> Any:
    return getattr(layer, "_lookup_layer", layer)


def _name(layer: Any) -> str:
    return f'layer "{layer.name}" ({type(layer).__name__})'


def _unit(layer: Any) -> Unit:
    """Return how a layer cuts text."""
    if isinstance(layer, keras.layers.StringLookup):
        return "symbol"
    if layer._split not in ("whitespace", "character"):
        raise ExportError(
            f"{_name(layer)} has split={_called(layer._split)}; expected 'whitespace' or 'character', the ways a "
            f"bundle can cut text: {_instead()}"
        )
    return "char" if layer._split == "character" else "symbol"


def _called(given: Any) -> str:
    return str(getattr(given, "__name__", repr(given)))


def compared(layer: Any, vocabulary: Vocabulary, texts: Sequence[str]) -> list[str]:
    """Compare a layer's ids with its vocabulary's.

    Args:
        layer: the text layer.
        vocabulary: what `vocabulary_of` gives for it.
        texts: to compare on, beside the words that the layer knows.

    Returns:
        What a person has to know or do so that both read alike, a sentence each.

    Raises:
        ExportError: they read otherwise for a reason that no note tells.
    """
    words = [word for word in vocabulary.symbols if word not in (vocabulary.padding, vocabulary.unknown)]
    if isinstance(layer, keras.layers.StringLookup):
        _refuse_cut_words(layer, vocabulary, words)
        return []
    # Only where the vocabulary knows letters beyond ASCII does it matter which of them are lowercased.
    larger = [word.upper() for word in words if vocabulary.lowercase and not word.isascii()]
    samples = [*words, *larger, *texts]
    if not samples:
        return []
    wrong = _read_otherwise(layer, vocabulary, samples)
    unexplained = [text for text in wrong if not _lowercased_beyond(text, vocabulary)]
    if unexplained:
        raise ExportError(
            f"{_name(layer)} reads {unexplained[0][:60]!r} otherwise than a bundle with its vocabulary: {_instead()}"
        )
    return [*_standardizing(layer), *_beyond_ascii(layer, vocabulary, wrong), *_cutting_off(layer)]


def _refuse_cut_words(layer: Any, vocabulary: Vocabulary, words: Sequence[str]) -> None:
    """Refuse words that hold white space in the vocabulary of a look-up.

    A look-up reads tokens that somebody cut; a text of a bundle is cut at white space.
    """
    cut = next((word for word in words if vocabulary.split(word) != [word]), None)
    if cut is not None:
        raise ExportError(
            f"{_name(layer)} knows {cut!r} as one symbol, but a bundle cuts the texts of such a layer at white space: "
            f"{_instead()}"
        )


def _read_otherwise(layer: Any, vocabulary: Vocabulary, samples: Sequence[str]) -> list[str]:
    """Return the samples that layer and vocabulary read differently even after what the notes ask for is done."""
    read = layer(tf.constant(samples))
    rows = read.to_list() if isinstance(read, tf.RaggedTensor) else np.asarray(read).tolist()
    longest = layer._output_sequence_length
    wrong = []
    for sample, prepared, row in zip(samples, _prepared(layer, samples), rows, strict=True):
        ids = vocabulary.encode(prepared)[:longest]
        if ids + [0] * (len(row) - len(ids)) != row:
            wrong.append(sample)
    return wrong


def _prepared(layer: Any, samples: Sequence[str]) -> list[str]:
    """Return the texts as the notes ask for them."""
    if callable(layer._standardize):
        return [text.decode("utf-8") for text in np.asarray(layer._standardize(tf.constant(samples))).ravel()]
    return list(samples)


def _standardizing(layer: Any) -> list[str]:
    if not callable(layer._standardize):
        return []
    what = f"runs {_called(layer._standardize)}"
    return [f"the text layer {layer.name!r} {what}, which a bundle doesn't: do so to texts before decoding them"]


def _beyond_ascii(layer: Any, vocabulary: Vocabulary, wrong: Sequence[str]) -> list[str]:
    """Return notes on letters that Python lowercases and TensorFlow doesn't."""
    notes = []
    lowercased = [text for text in wrong if _lowercased_beyond(text, vocabulary)]
    if lowercased:
        notes.append(
            f"the text layer {layer.name!r} lowercases A to Z only, a bundle all letters: {_some(lowercased)} read "
            f"otherwise; for the layer's own reading give {option('vocab', 'FILE')} with lowercase false, and "
            "lowercase A to Z of texts before decoding them"
        )
    return notes


def _some(texts: Sequence[str]) -> str:
    others = f" and {len(texts) - 1} more of what was compared are" if len(texts) > 1 else " is"
    return f"{texts[0][:60]!r}{others}"


def _lowercased_beyond(text: str, vocabulary: Vocabulary) -> bool:
    return vocabulary.lowercase and any(not letter.isascii() and letter != letter.lower() for letter in text)


def _cutting_off(layer: Any) -> list[str]:
    longest = layer._output_sequence_length
    if longest is None:
        return []
    return [f"the text layer {layer.name!r} reads the first {longest} symbols only, a bundle all of a text"]

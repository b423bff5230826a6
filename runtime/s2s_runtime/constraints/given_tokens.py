"""Reading the tokens that options give as ids: symbols, texts, ids."""

from __future__ import annotations

from collections.abc import Iterable

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.declared_options.checks import has_items, is_integer
from s2s_runtime.errors import OptionError
from s2s_runtime.options import Phrase, Token
from s2s_runtime.spelling import shown


def token_ids(name: str, tokens: Iterable[Token], manifest: Manifest) -> list[int]:
    """Return the ids of tokens given as ids or, where there is a target vocabulary, as symbols.

    Raises:
        OptionError: names the option and the token that the bundle doesn't know.
    """
    if isinstance(tokens, str | bytes | bytearray | memoryview) or not has_items(tokens):
        raise OptionError(f"{name}: expected a list of tokens, got {shown(tokens)}")
    vocabulary, size = manifest.target_vocabulary, manifest.target.size
    ids = []
    for token in tokens:
        if isinstance(token, str):
            if vocabulary is None:
                raise OptionError(f"{name}: expected ids, as this bundle has no target vocabulary; got {shown(token)}")
            known = vocabulary.id_of(token)
            if known is None:
                raise OptionError(f"{name}: {shown(token)} is not in the target vocabulary")
            ids.append(known)
        elif is_integer(token) and 0 <= token < size:
            ids.append(int(token))
        else:
            raise OptionError(f"{name}: expected symbols or ids from 0 to {size - 1}, got {shown(token)}")
    return ids


def phrase_ids(name: str, phrase: Phrase, manifest: Manifest) -> list[int]:
    """Return the ids of a text, or of a list of tokens.

    Raises:
        OptionError: names the option and what of it the bundle doesn't know.
    """
    if not isinstance(phrase, str):
        return token_ids(name, phrase, manifest)
    vocabulary = manifest.target_vocabulary
    if vocabulary is None:
        raise OptionError(f"{name}: expected ids, as this bundle has no target vocabulary; got {shown(phrase)}")
    symbols, ids = vocabulary.symbol_ids(phrase)
    if None in ids:
        missing = f"the {vocabulary.unit_name} {shown(symbols[ids.index(None)])} of {shown(phrase)}"
        raise OptionError(f"{name}: {missing} is not in the target vocabulary")
    return vocabulary.resolve(symbols, ids, "error", phrase)[0]

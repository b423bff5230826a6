"""Finding the rows of callers in a lexicon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2s_runtime.errors import OptionError
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.lexicon.lexicon import Lexicon
from s2s_runtime.options import DecodingOptions
from s2s_runtime.vocabulary.vocabulary import Vocabulary

if TYPE_CHECKING:
    from s2s_runtime.inputs import factored_rows
else:
    factored_rows = LazyModule("inputs.factored_rows")


@dataclass(frozen=True, slots=True)
class LookedUp:
    """A lexicon as a vocabulary reads it.

    Args:
        entries: outputs by the normal form of a source.
        vocabulary: normalises texts.
        replaces: whether a row that it has isn't decoded.
    """

    entries: Mapping[str, Sequence[str]]
    vocabulary: Vocabulary
    replaces: bool

    def outputs(self, row: object) -> Sequence[str]:
        """Return the outputs of a row, the best first; none where it is no text, or the lexicon lacks it.

        A text with factors is found as it stands, or else by its words.
        """
        if not isinstance(row, str):
            return ()
        listed = self.entries.get(self.vocabulary.normalize(row), ())
        if listed or not self.vocabulary.factor_names:
            return listed
        words = factored_rows.factored(self.vocabulary).without_factors(row)
        return self.entries.get(self.vocabulary.normalize(words), ())


def looked_up(options: DecodingOptions, vocabulary: Vocabulary | None) -> LookedUp | None:
    """Return the lexicon of options; None where there is none.

    Raises:
        OptionError: the bundle has no source vocabulary, or an entry is wrong.
    """
    if options.lexicon is None:
        return None
    if vocabulary is None:
        raise OptionError("lexicon: needs a source vocabulary, which this bundle doesn't have")
    lexicon = options.lexicon if isinstance(options.lexicon, Lexicon) else Lexicon(options.lexicon)
    rule = (vocabulary.lowercase, vocabulary.normalization, vocabulary.removed)
    return LookedUp(lexicon.normalized(rule, vocabulary.normalize), vocabulary, options.lexicon_use == "first")

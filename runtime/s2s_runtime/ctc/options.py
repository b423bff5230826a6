"""Which options mean something for a model trained with CTC."""

from __future__ import annotations

from typing import Final

from s2s_runtime.declared_options import declared, differs
from s2s_runtime.errors import OptionError
from s2s_runtime.options import DecodingOptions

_TAKEN: Final = frozenset({
    *("beam_size", "num_hypotheses", "suppress_tokens", "allow_unknown", "return_scores", "return_alignments"),
    *("lexicon", "lexicon_use", "unknown_symbols", "max_source_length", "on_long", "on_error"),
    *("max_batch_size", "max_batch_tokens", "batch_by", "cancel"),
})  # fmt: skip


def check_ctc_options(options: DecodingOptions) -> None:
    """Refuse options that have no meaning where symbols are read off frames.

    Raises:
        OptionError: names them, and those that have one.
    """
    asked = [
        name
        for name, declaration in declared(DecodingOptions).items()
        if name not in _TAKEN and differs(getattr(options, name), declaration.default)
    ]
    if asked:
        raise OptionError(
            f"{', '.join(asked)}: no meaning for a model trained with CTC, which reads symbols off frames; leave it "
            "out (beam_size, num_hypotheses, suppress_tokens, return_scores and return_alignments have one)"
        )

"""The ids of many texts, against those of each by itself."""

from __future__ import annotations

import pytest

from s2s_runtime import Vocabulary
from s2s_runtime.vocabulary.known_ids import known_ids

TEXTS = ["a b", "  A\tb\n", "", "x a", "a|b", "aB|b a", "é e\u0301"]


CHANGES: list[dict[str, object]] = [{}, {"lowercase": True}, {"normalization": "NFC"}, {"removed": "a"}]
CASES = [(unit, more) for unit in ("symbol", "char", "word", "phone") for more in CHANGES]


@pytest.mark.parametrize(("unit", "more"), [*CASES, ("symbol", {"separators": "|"})], ids=str)
def test_ids_are_those_of_each_text(unit: str, more: dict[str, object]) -> None:
    """Whatever is done to a text before it is cut, ids are those of `symbol_ids`."""
    vocabulary = Vocabulary(unit, ("a", "b", "A", "é", " ", "|"), **more)
    assert [known_ids(vocabulary)(text) for text in TEXTS] == [vocabulary.symbol_ids(text)[1] for text in TEXTS]

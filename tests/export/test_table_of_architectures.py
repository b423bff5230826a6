"""The documentation lists what the tests export."""

import pytest
from make_table import BEGIN, END, README, with_table

pytestmark = pytest.mark.tensorflow


def test_table_is_up_to_date() -> None:
    """`python tests/export/make_table.py` has been run since `architectures.py` last changed."""
    text = README.read_text(encoding="utf-8")
    assert BEGIN in text
    assert END in text
    assert text == with_table(text)

"""The documentation lists what the tests do."""

from collections.abc import Callable

import pytest
from make_tables import PAGES
from page_tables import with_table

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize("table", PAGES, ids=lambda table: table.__name__)
def test_table_is_up_to_date(table: Callable[[], str]) -> None:
    """`python tests/docs/make_tables.py` has been run since the lists of models last changed."""
    text = PAGES[table].read_text(encoding="utf-8")
    assert text == with_table(text, table)

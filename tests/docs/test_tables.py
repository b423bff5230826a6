"""The documentation lists what the tests do."""

from collections.abc import Callable

import pytest
from make_commands import PAGE, page
from make_tables import PAGES
from page_tables import with_table

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize("table", PAGES, ids=lambda table: table.__name__)
def test_table_is_up_to_date(table: Callable[[], str]) -> None:
    """`make tables` has been run since the lists of models last changed."""
    text = PAGES[table].read_text(encoding="utf-8")
    assert text == with_table(text, table)


def test_commands_are_up_to_date() -> None:
    """`make tables` has been run since an option of a command last changed."""
    assert PAGE.read_text(encoding="utf-8") == page()

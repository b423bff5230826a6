"""The documentation lists what the tests do."""

import re
from collections.abc import Callable
from itertools import groupby

import pytest
from architectures import ARCHITECTURES
from kinds import KINDS, Kind
from make_commands import PAGE, page
from make_tables import PAGES
from page_tables import with_table
from places import ROOT
from systems import SYSTEMS

from s2s_export.commands.export_settings import ExportSettings
from s2s_export.options import ExportOptions
from s2s_runtime.declared_options import declared
from s2s_training.config.model import ModelConfig

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize("table", PAGES, ids=lambda table: table.__name__)
def test_table_is_up_to_date(table: Callable[[], str]) -> None:
    """`make tables` has been run since the lists of models last changed."""
    text = PAGES[table].read_text(encoding="utf-8")
    assert text == with_table(text, table)


def test_commands_are_up_to_date() -> None:
    """`make tables` has been run since an option of a command last changed."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_rows_of_tables_have_the_columns_of_their_heads() -> None:
    """A bar within a cell, in code too, divides it: what stands behind it is shown in the next column, or nowhere."""
    folders = (".", "docs", "benchmarks", "export", "runtime", "training")
    paths = [path for folder in folders for path in (ROOT / folder).glob("*.md")]
    assert len(paths) > 20
    for path in paths:
        lines = path.read_text(encoding="utf-8").splitlines()
        for is_table, table in groupby(lines, lambda line: line.startswith("|")):
            bars = [len(re.findall(r"(?<!\\)\|", row)) for row in table]
            assert not is_table or len(set(bars)) == 1, path


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.what)
def test_kinds_name_tests_and_options_that_are_there(kind: Kind) -> None:
    """Each kind is held by an architecture or a test, and what is to be typed for it are options of the command."""
    file, _, function = kind.test.partition("::")
    if function:
        text = (ROOT / "tests" / "export" / file).read_text(encoding="utf-8")
        assert f"def {function}(" in text
    else:
        assert file in {**ARCHITECTURES, **SYSTEMS}
    classes = (ExportSettings, ExportOptions, ModelConfig)
    options = [each for options in classes for each in declared(options).values()]
    flags = {flag for each in options for flag in (each.option.flags or [f"--{each.name.replace('_', '-')}"])}
    assert set(re.findall(r"--[a-z-]+", kind.typed)) <= flags

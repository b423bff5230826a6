"""What is written into files of the declared options is what they declare."""

from __future__ import annotations

from dataclasses import fields
from typing import get_type_hints

import pytest
from write_options import GUIDE, VALUES, guide, values_module

from s2s_runtime.declared_options import declared
from s2s_runtime.declared_options.docs import bare, meaning
from s2s_runtime.options import DecodingOptions, OptionValues, ScoreValues


def test_files_are_up_to_date() -> None:
    """`make tables` has been run since an option last changed."""
    assert VALUES.read_text(encoding="utf-8") == values_module()
    text = GUIDE.read_text(encoding="utf-8")
    assert text == guide(text)


@pytest.mark.parametrize("values", [OptionValues, ScoreValues])
def test_keyword_arguments_have_the_types_of_the_options(values: type) -> None:
    """The TypedDict that types keyword arguments and the dataclass say the same, however it was written."""
    hints = get_type_hints(DecodingOptions, include_extras=True)
    typed = get_type_hints(values)
    assert set(typed) <= set(hints)
    assert typed == {name: bare(hints[name]) for name in typed}


def test_every_field_is_a_declared_option_with_a_meaning() -> None:
    """Nothing stands among the options that nobody is told of."""
    names = [field.name for field in fields(DecodingOptions)]
    assert list(declared(DecodingOptions)) == names == list(get_type_hints(OptionValues))
    assert [name for name in names if not meaning(DecodingOptions)[name].endswith(".")] == []

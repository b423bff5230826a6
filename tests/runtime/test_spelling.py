"""How messages spell the names of options."""

from s2s_runtime.spelling import as_flags, did_you_mean, option


def test_options_are_spelled_as_the_caller_wrote_them() -> None:
    """Arguments in Python, flags inside a command, and arguments again after it."""
    assert [option("source_length"), option("source_length", "N")] == ["source_length", "source_length=N"]
    assert [option("end_id", "1"), option("one_hot_input"), option("force", "")] == [
        "end=1",
        "one_hot_inputs",
        "force=True",
    ]
    with as_flags():
        assert [option("end_id", "1"), option("source_length")] == ["--end-id 1", "--source-length"]
        assert option("force", "") == "--force"
    assert option("padding") == "padding"


def test_near_names_are_offered() -> None:
    """The nearest name, or nothing where none is near."""
    assert did_you_mean("beamsize", ["max_length", "beam_size"]) == "; did you mean 'beam_size'?"
    assert did_you_mean("colour", ["max_length", "beam_size"]) == ""

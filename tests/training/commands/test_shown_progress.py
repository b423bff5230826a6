"""What s2s-train shows of a run: stages outside the epochs, bars within them, and lines where none is redrawn."""

import io

import pytest

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def shown(monkeypatch):
    """Makes a `ShowProgress` on a console of its own, with a clock to set; gives both and what was written."""
    from rich.console import Console

    from s2s_training.commands import progress

    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])

    def make(*, terminal):
        written = io.StringIO()
        console = Console(file=written, force_terminal=terminal, width=80, _environ={"TERM": "xterm"})
        return progress.ShowProgress(console, epochs=3, smoothed=False), clock, written

    return make


def test_on_a_terminal_every_stage_is_shown(shown):
    """With how far it is, whatever the name of the file; the bar of an epoch takes its place."""
    progress, _, written = shown(terminal=True)
    progress.stage("reading [b]pairs.tsv", 1, 4)
    progress.set_params({"steps": 10})
    progress.on_train_begin()
    progress.on_epoch_begin(0)
    progress.on_train_batch_end(4, {"loss": 1.5})
    progress.on_train_end()
    progress.stage("decoding what was held out")
    progress.stop()
    for text in ("reading [b]pairs.tsv: 25%", "5/10", "decoding what was held out"):
        assert text in written.getvalue()


def test_elsewhere_what_takes_long_is_said_once(shown):
    """A file or a pipe gets a line for a stage that begins after ten silent seconds, and one a minute in an epoch."""
    progress, clock, written = shown(terminal=False)
    for moment, stage in ((1, "reading x"), (11, "reading x"), (12, "cutting texts"), (13, "building vocabularies")):
        clock[0] = moment
        progress.stage(stage)
    assert written.getvalue() == "cutting texts\n"
    progress.set_params({"steps": 100})
    progress.on_train_begin()
    progress.on_epoch_begin(1)
    for batch in range(100):
        clock[0] = 12 + batch * 2
        progress.on_train_batch_end(batch, {"loss": 0.25})
    assert written.getvalue().splitlines()[1:] == [f"epoch 2/3  {step}/100 steps  loss 0.2500" for step in (31, 61, 91)]

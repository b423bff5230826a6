"""The command s2s-decode."""

from __future__ import annotations

from s2s_runtime.commands.command_options import Given, takes
from s2s_runtime.commands.decode_options import DecodeSettings, LineOptions
from s2s_runtime.console.app import command, make_app
from s2s_runtime.options import DecodingOptions

app = make_app()

EPILOG = """
**Examples**

`s2s-decode model.s2s "Run!"`

`s2s-decode model.s2s --beam-size 5 --num-hypotheses 3 --scores "Run!" "Go."`

`s2s-decode model.s2s < sentences.txt > decoded.txt`

`s2s-decode model.s2s --input sentences.txt --output decoded.txt --resume`

`s2s-decode model.s2s --json --beam-size 4 < sentences.txt | jq -r .hypotheses[0].text`

`s2s-decode model.s2s --score --length-penalty 0 < pairs.tsv`

`tail -f readings.txt | s2s-decode model.s2s --follow`

`s2s-decode model.s2s --sampling-temperature 0.8 --sampling-top-p 0.9 --seed 1 -n 5 "Run!"`

`s2s-decode model.s2s --attention-plot map.png "Run!"`
"""


@command(app, epilog=EPILOG)
@takes(DecodeSettings, DecodingOptions, LineOptions)
def decode(given: Given) -> None:
    """Decode texts with a bundle, without TensorFlow.

    Writes one line per text, in order, as they are ready. With several hypotheses each gets a line of its own, best
    first, after the number of its text and a tab; with --scores the score and a tab stand before it. For bundles that
    know numbers only, texts are ids separated by spaces.

    Exits with 0, 1 where it failed, 2 for wrong usage, 130 after Ctrl-C; what is done is written then, whole lines.
    """
    from s2s_runtime.commands.decode_lines import Settings, run

    run(Settings(**given.of(Settings), given=given))


def main() -> None:
    """Run the command."""
    app()

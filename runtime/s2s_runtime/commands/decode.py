"""The command s2s-decode."""

from __future__ import annotations

from s2s_runtime.commands import decode_options as o
from s2s_runtime.commands.console import AllowFallback, Providers, Threads, command, make_app, typed_options, typer

app = make_app()

EPILOG = """
**Examples**

`s2s-decode model.s2s "Run!"`

`s2s-decode model.s2s --beam-size 5 --num-hypotheses 3 --scores "Run!" "Go."`

`s2s-decode model.s2s < sentences.txt > decoded.txt`

`s2s-decode model.s2s --input sentences.txt --output decoded.txt --resume`

`s2s-decode model.s2s --json --beam-size 4 < sentences.txt | jq -r .hypotheses[0].text`

`s2s-decode model.s2s --score --length-penalty 0 < pairs.tsv`

`s2s-decode model.s2s --sampling-temperature 0.8 --sampling-top-p 0.9 --seed 1 -n 5 "Run!"`

`s2s-decode model.s2s --attention-plot map.png "Run!"`
"""


@command(app, epilog=EPILOG)
def decode(
    context: typer.Context,
    bundle: o.Bundle,
    texts: o.Texts = None,
    input: o.Input = None,
    output: o.Output = None,
    resume: o.Resume = False,
    force: o.Force = False,
    as_json: o.AsJson = False,
    scores: o.Scores = False,
    token_scores: o.TokenScores = False,
    attention: o.Attention = False,
    attention_plot: o.AttentionPlot = None,
    keep_empty: o.KeepEmpty = False,
    unknown_symbols: o.UnknownSymbols = None,
    stream: o.Stream = False,
    score: o.Score = False,
    interactive: o.Interactive = False,
    beam_size: o.BeamSize = 1,
    num_hypotheses: o.NumHypotheses = 1,
    patience: o.Patience = 1.0,
    length_penalty: o.LengthPenalty = 1.0,
    length_penalty_kind: o.PenaltyKind = "average",
    coverage_penalty: o.CoveragePenalty = 0.0,
    return_alternatives: o.Alternatives = False,
    min_alternative_probability: o.MinAlternative = 0.0,
    max_length: o.MaxLength = None,
    max_length_ratio: o.MaxLengthRatio = None,
    min_length: o.MinLength = 0,
    prefix: o.PrefixText = None,
    repetition_penalty: o.RepetitionPenalty = 1.0,
    no_repeat_ngram_size: o.NgramSize = 0,
    no_repeat_ngram_exclude: o.NgramExclude = None,
    suppress_tokens: o.SuppressToken = None,
    suppress_sequences: o.SuppressSequence = None,
    allow_unknown: o.AllowUnknown = False,
    replace_unknown: o.ReplaceUnknown = False,
    phrase_table: o.PhraseTable = None,
    end_tokens: o.EndToken = None,
    return_end_token: o.ReturnEndToken = False,
    sampling_temperature: o.Temperature = None,
    sampling_top_k: o.TopK = None,
    sampling_top_p: o.TopP = None,
    seed: o.Seed = None,
    engine: o.Engines = "auto",
    max_batch_size: o.BatchSize = 64,
    batch_by: o.By = "sentences",
    batching: o.Batchings = "static",
    workers: o.Workers = None,
    read_ahead: o.ReadAhead = 4096,
    ensemble_with: o.EnsembleWith = None,
    ensemble_mean: o.EnsembleMean = "probabilities",
    provider: Providers = None,
    allow_fallback: AllowFallback = False,
    threads: Threads = None,
) -> None:
    """Decode texts with a bundle, without TensorFlow.

    Writes one line per text, in order, as they are ready. With several hypotheses each gets a line of its own, best
    first, after the number of its text and a tab; with --scores the score and a tab stand before it. For bundles that
    know numbers only, texts are ids separated by spaces.

    Exits with 0, 1 where it failed, 2 for wrong usage, 130 after Ctrl-C; what is done is written then, whole lines.
    """
    given = locals()  # every option by its name: most of them are decoding options and pass on as they are
    from s2s_runtime.commands.decode_lines import Settings, run

    run(Settings.from_command_line({**given, "typed": typed_options(context)}))


def main() -> None:
    """Run the command."""
    app()

"""The options of s2s-decode, each declared once: name, type, help, panel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from s2s_runtime.commands.console import typer

_FILES: Final = "Input and output"
_MODES: Final = "Instead of decoding"
_SEARCH: Final = "Search"
_TOKENS: Final = "What may be written"
_SAMPLING: Final = "Sampling"
_RUNNING: Final = "Running"


# As the options of Python have them; those modules need numpy, for which --help doesn't wait.
LengthPenaltyKind = Literal["average", "gnmt"]
BatchBy = Literal["sentences", "tokens"]
Engine = Literal["auto", "graph", "steps"]
Batching = Literal["static", "continuous"]
Unknown = Literal["error", "unk", "skip"]
Mean = Literal["probabilities", "log_probabilities"]


def _option(panel: str, help_text: str, *names: str, **settings: Any) -> Any:  # what typer reads from Annotated
    return typer.Option(*names, help=help_text, rich_help_panel=panel, **settings)


Bundle = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder or zip file written by s2s-export.")]
Texts = Annotated[
    list[str] | None, typer.Argument(metavar="TEXT", help="What to decode; without any, the lines of standard input.")
]

Input = Annotated[Path | None, _option(_FILES, "Decode the lines of this file.", "--input", "-i")]
Output = Annotated[Path | None, _option(_FILES, "Write into this file instead of standard output.", "--output", "-o")]
Resume = Annotated[bool, _option(_FILES, "Go on behind the lines that --output holds.", "--resume")]
Force = Annotated[bool, _option(_FILES, "Replace what --output holds.", "--force")]
AsJson = Annotated[bool, _option(_FILES, "Write one JSON object per text.", "--json")]
Scores = Annotated[bool, _option(_FILES, "Write the score before each hypothesis.", "--scores")]
TokenScores = Annotated[bool, _option(_FILES, "With --json: log-probability of each token.", "--token-scores")]
Attention = Annotated[bool, _option(_FILES, "With --json: the attention, target by source.", "--attention")]
AttentionPlot = Annotated[
    Path | None, _option(_FILES, "Draw the attention of one text into this file (.png, .svg, .pdf).")
]
KeepEmpty = Annotated[
    bool, _option(_FILES, "Answer an empty line with an empty line; otherwise it is an error.", "--keep-empty")
]
UnknownSymbols = Annotated[
    Unknown | None,
    _option(
        _FILES,
        "Symbols that the model doesn't know: an error, read as its unknown symbol, or left out. "
        "Default: unk where it has one. Decoding counts them on stderr.",
        "--unknown",
    ),
]

Stream = Annotated[bool, _option(_MODES, "Write each text as it comes, token by token.", "--stream")]
Score = Annotated[
    bool, _option(_MODES, "Texts are pairs, source TAB target: write how likely each target is.", "--score")
]
Interactive = Annotated[bool, _option(_MODES, "Ask for texts at a prompt with history.", "--interactive")]

BeamSize = Annotated[int, _option(_SEARCH, "Sequences kept alive per sentence; 1 = greedy.", min=1)]
NumHypotheses = Annotated[int, _option(_SEARCH, "Hypotheses per text.", "--num-hypotheses", "-n", min=1)]
Patience = Annotated[float, _option(_SEARCH, "Stop once beam size times this many hypotheses have ended.")]
LengthPenalty = Annotated[float, _option(_SEARCH, "Scores are divided by length to this power.", min=0)]
PenaltyKind = Annotated[LengthPenaltyKind, _option(_SEARCH, "Length itself, or (5 + length) / 6.")]
CoveragePenalty = Annotated[float, _option(_SEARCH, "Weight of what the attention left out.", min=0)]
Alternatives = Annotated[
    bool, _option(_SEARCH, "The -n likeliest next tokens (after --prefix), each continued.", "--alternatives")
]
MinAlternative = Annotated[
    float, _option(_SEARCH, "Leave out less likely alternatives.", "--min-alternative-probability", min=0, max=1)
]

MaxLength = Annotated[
    int | None, _option(_TOKENS, "Longest output in tokens, the end token counted; default: the bundle's.", min=1)
]
MaxLengthRatio = Annotated[
    str | None, _option(_TOKENS, "Longest output as A * source length, or A,B for A * length + B.", metavar="A[,B]")
]
MinLength = Annotated[int, _option(_TOKENS, "Tokens before an end token.", min=0)]
PrefixText = Annotated[str | None, _option(_TOKENS, "Every output begins with this.", "--prefix")]
RepetitionPenalty = Annotated[float, _option(_TOKENS, "Above 1 discourages tokens that occurred before.")]
NgramSize = Annotated[int, _option(_TOKENS, "So many tokens never occur twice in the same order; 0 = off.", min=0)]
NgramExclude = Annotated[
    list[str] | None, _option(_TOKENS, "Sequences with this token may repeat. Repeatable.", metavar="TOKEN")
]
SuppressToken = Annotated[
    list[str] | None, _option(_TOKENS, "A token never written. Repeatable.", "--suppress-token", metavar="TOKEN")
]
SuppressSequence = Annotated[
    list[str] | None, _option(_TOKENS, "A text never written. Repeatable.", "--suppress-sequence", metavar="TEXT")
]
AllowUnknown = Annotated[bool, _option(_TOKENS, "The unknown token may be written.", "--allow-unknown")]
ReplaceUnknown = Annotated[
    bool, _option(_TOKENS, "Write the source token it attends to instead of the unknown token.", "--replace-unknown")
]
PhraseTable = Annotated[
    Path | None, _option(_TOKENS, "With --replace-unknown: file of what to write instead, source TAB target.")
]
EndToken = Annotated[
    list[str] | None, _option(_TOKENS, "A token that ends the output. Repeatable.", "--end-token", metavar="TOKEN")
]
ReturnEndToken = Annotated[bool, _option(_TOKENS, "With --json: tokens include the end token.", "--return-end-token")]

Temperature = Annotated[float | None, _option(_SAMPLING, "Draw tokens from the softmax of logits / temperature.")]
TopK = Annotated[int | None, _option(_SAMPLING, "Draw among the k likeliest.", "--sampling-top-k", min=1)]
TopP = Annotated[float | None, _option(_SAMPLING, "Draw among the likeliest that together reach p.")]
Seed = Annotated[int | None, _option(_SAMPLING, "Same seed, same samples.", min=0)]

Engines = Annotated[
    Engine,
    _option(_RUNNING, "Search in one graph, or step by step; auto: the graph where it can.", "--engine"),
]
BatchSize = Annotated[int, _option(_RUNNING, "Most sentences (or tokens) decoded at once.", "--batch-size", min=1)]
By = Annotated[BatchBy, _option(_RUNNING, "What --batch-size counts.", "--batch-by")]
Batchings = Annotated[
    Batching,
    _option(_RUNNING, "Batch after batch, or lines that wait take the places of ended ones.", "--batching"),
]
Workers = Annotated[
    int | None,
    _option(_RUNNING, "Batches decoded at the same time; default: one per core, for small models.", "--workers", min=1),
]
ReadAhead = Annotated[int, _option(_RUNNING, "Most lines read before the first of them is written.", min=1)]
EnsembleWith = Annotated[
    list[Path] | None, _option(_RUNNING, "Decode together with this bundle. Repeatable.", metavar="BUNDLE")
]
EnsembleMean = Annotated[Mean, _option(_RUNNING, "What an ensemble averages.")]

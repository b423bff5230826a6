"""The command s2s-decode."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from s2s_runtime.console import Providers, Threads, make_app, one_line_errors, typer
from s2s_runtime.errors import InputError, UnknownSymbolError

if TYPE_CHECKING:
    from s2s_runtime.model import Model
    from s2s_runtime.options import OptionValues
    from s2s_runtime.results import Result

app = make_app()
_READ_AHEAD = 16  # batches read before the first is decoded, so that sentences of like length meet

EPILOG = """
**Examples**

`s2s-decode model.s2s "Run!"`

`s2s-decode model.s2s --beam-size 5 --num-hypotheses 3 --scores "Run!" "Go."`

`s2s-decode model.s2s < sentences.txt > decoded.txt`

`s2s-decode model.s2s --json --beam-size 4 < sentences.txt | jq -r .hypotheses[0].text`

`s2s-decode model.s2s --attention-plot map.png "Run!"`
"""


@app.command(epilog=EPILOG)
def decode(
    bundle: Annotated[Path, typer.Argument(help="Folder written by s2s-export.")],
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="What to decode; without any, the lines of standard input."),
    ] = None,
    beam_size: Annotated[int, typer.Option(min=1, help="Sequences kept alive per sentence; 1 = greedy.")] = 1,
    num_hypotheses: Annotated[int, typer.Option("--num-hypotheses", "-n", min=1, help="Hypotheses per text.")] = 1,
    length_penalty: Annotated[float, typer.Option(min=0, help="Scores are divided by length to this power.")] = 1.0,
    max_length: Annotated[
        int | None, typer.Option(min=1, help="Longest output in tokens, the end token counted; default: the bundle's.")
    ] = None,
    scores: Annotated[bool, typer.Option("--scores", help="Write the score before each hypothesis.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object per text.")] = False,
    attention_plot: Annotated[
        Path | None, typer.Option(help="Draw the attention of one text into this file (.png, .svg, .pdf).")
    ] = None,
    keep_empty: Annotated[
        bool, typer.Option("--keep-empty", help="Answer an empty line with an empty line; otherwise it is an error.")
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Most sentences decoded at once.")] = 64,
    provider: Providers = None,
    threads: Threads = None,
) -> None:
    """Decode texts with a bundle, without TensorFlow.

    Writes one line per text, in order. With several hypotheses each gets a line of its own, best first, after the
    number of its text and a tab; with --scores the score and a tab stand before it. For bundles that know numbers
    only, texts are ids separated by spaces.
    """
    options: OptionValues = {
        "beam_size": beam_size,
        "num_hypotheses": num_hypotheses,
        "length_penalty": length_penalty,
        "max_length": max_length,
        "return_scores": scores or as_json,
        "return_attention": attention_plot is not None,
        "max_batch_size": batch_size,
    }
    with one_line_errors():
        if attention_plot is not None and len(texts or ()) != 1:
            raise InputError(f"--attention-plot: expected one text, got {len(texts) if texts else 'standard input'}")
        from s2s_runtime.loading import load

        model = load(bundle, providers=provider, intra_op_threads=threads)
        at_once = 1 if texts is None and sys.stdin.isatty() else _READ_AHEAD * batch_size
        for number, text, result in _decode(model, texts or _lines(), options, at_once, keep_empty):
            sys.stdout.write(_as_json(text, result) if as_json else _as_lines(number, result, num_hypotheses, scores))
            if attention_plot is not None:
                from s2s_runtime.plots import plot_attention

                plot_attention(result.hypotheses[0], result.source_tokens, attention_plot)


def _lines() -> Iterator[str]:
    """The lines of standard input, without their ends."""
    for line in sys.stdin:
        yield line.rstrip("\r\n")


def _decode(
    model: Model, texts: Iterable[str], options: OptionValues, at_once: int, keep_empty: bool
) -> Iterator[tuple[int, str, Result]]:
    """Number (from 1), text and result of each text, a limited number read ahead."""
    source, number = iter(texts), 0
    while chunk := list(islice(source, at_once)):
        for text, result in zip(chunk, _generate(model, chunk, options, number, keep_empty), strict=True):
            number += 1
            yield number, text, result


def _generate(model: Model, chunk: Sequence[str], options: OptionValues, before: int, keep_empty: bool) -> list[Result]:
    if not keep_empty and not all(text.strip() for text in chunk):
        number = before + 1 + next(i for i, text in enumerate(chunk) if not text.strip())
        raise InputError(f"text {number} is empty; leave it out, or give --keep-empty to get an empty line for it")
    try:
        if model.source_vocabulary is None:
            return model.generate([_ids(text, before + 1 + i) for i, text in enumerate(chunk)], **options)
        return model.generate(chunk, **options)
    except UnknownSymbolError as error:
        raise InputError(f"text {before + 1 + chunk.index(error.text)}: {error}") from error


def _ids(text: str, number: int) -> list[int]:
    try:
        return [int(part) for part in text.split()]
    except ValueError as error:
        raise InputError(
            f"text {number}: expected ids separated by spaces, as this bundle has no source vocabulary; got {text!r}"
        ) from error


def _as_json(text: str, result: Result) -> str:
    return json.dumps({"text": text, **result.to_dict()}, ensure_ascii=False) + "\n"


def _as_lines(number: int, result: Result, num_hypotheses: int, scores: bool) -> str:
    lines = []
    for hypothesis in result.hypotheses:
        columns = [str(number)] if num_hypotheses > 1 else []
        if scores and hypothesis.score is not None:
            columns.append(f"{hypothesis.score:.4f}")
        lines.append("\t".join([*columns, hypothesis.text]) + "\n")
    return "".join(lines)


def main() -> None:
    """Run the command."""
    app()

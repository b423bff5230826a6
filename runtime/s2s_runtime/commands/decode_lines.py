"""The work of s2s-decode once its options are parsed: it reads texts, decodes or scores them, and writes results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from s2s_runtime.commands.command_options import Given
from s2s_runtime.commands.decode_options import DecodeSettings, LineOptions, ensemble_problems, format_problems
from s2s_runtime.commands.decode_values import decoding_options, scoring_options
from s2s_runtime.commands.load_bundles import load_together
from s2s_runtime.commands.score_lines import ScoreLines
from s2s_runtime.console.app import UsageError, warn
from s2s_runtime.console.manners import standard_input, standard_output
from s2s_runtime.console.progress import byte_progress, prompted
from s2s_runtime.declared_options import declared, names_where, taken_by
from s2s_runtime.decoding.line_format import Alignment, LineFormat
from s2s_runtime.decoding.text_files import (
    DecodeLines,
    Work,
    count_lines,
    drop_last_text,
    is_same_file,
    numbers,
    open_output,
    read_windows,
    run_lines,
    write_all,
)
from s2s_runtime.errors import InputError, OptionError, UnknownSymbolError, naming
from s2s_runtime.files.array_files import read_arrays
from s2s_runtime.files.text_source import TextSource, decode_line, open_text
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.model import Model
from s2s_runtime.options import DecodingOptions
from s2s_runtime.options.terms import JSON, LISTS
from s2s_runtime.plots.attention import plot_attention
from s2s_runtime.plots.figures import check_picture

if TYPE_CHECKING:
    from s2s_runtime.decoding import records
    from s2s_runtime.one_pass import follow_lines
else:  # for lines of these kinds alone
    records, follow_lines = LazyModule("decoding.records"), LazyModule("one_pass.follow_lines")

_MODES: Final = ("stream", "score", "follow", "interactive")
_REPORTED: Final = 10
_OF_LISTS: Final = (*names_where(LineOptions, group=LISTS), *names_where(DecodingOptions, group=LISTS))
_WITH_SCORE: Final = {
    *taken_by(DecodeSettings, "score"),
    *declared(LineOptions),
    *taken_by(DecodingOptions, "score"),
}
_NOT_FOLLOWED: Final = {*declared(DecodingOptions), *_OF_LISTS, "output", "keep_empty", "known"}


@dataclass(frozen=True, kw_only=True)
class Settings(DecodeSettings, LineOptions):
    """The settings of the command beside the decoding options.

    Raises:
        UsageError: options don't go together, or would have no effect.
        OptionError: the output file holds something already.
    """

    given: Given

    def __post_init__(self) -> None:
        problems = []
        modes = [f"--{name}" for name in _MODES if getattr(self, name)]
        if len(modes) > 1:
            problems.append(f"{' and '.join(modes)}: expected one of these at most")
        if self.texts and self.input is not None:
            problems.append("--input: expected no TEXT beside it")
        if self.encoding is not None and (self.texts or self.interactive):
            problems.append("--encoding: no effect without --input or lines of standard input")
        if self.interactive and (self.texts or self.input is not None or self.output is not None):
            problems.append("--interactive: expected no TEXT, --input or --output beside it")
        if self.stream and (self.output is not None or self.as_json or self.shows_scores):
            problems.append("--stream: expected no --output, --json or --scores beside it")
        problems += [
            f"--{name}: needs --output" for name in ("resume", "force") if getattr(self, name) and self.output is None
        ]
        if self.resume and self.force:
            problems.append("--resume and --force: expected one of these at most")
        if self.attention_plot is not None and len(self.texts or ()) != 1:
            got = len(self.texts) if self.texts else "standard input" if self.input is None else "a file"
            problems.append(f"--attention-plot: expected one text, got {got}")
        if self.attention_plot is not None and (modes or self.output is not None):
            problems.append("--attention-plot: expected no --stream, --score, --interactive or --output beside it")
        if self.output is not None and self.input is not None and is_same_file(self.output, self.input):
            problems.append(f"--output: expected another file than --input, got {self.output}")
        problems += format_problems(self, several=self.num_hypotheses > 1, scores=self.shows_scores)
        problems += _undecoded(self.texts or ())
        problems += self._without_effect()
        if problems:
            raise UsageError("; ".join(problems))
        if self.output is not None and not (self.resume or self.force) and _holds_something(self.output):
            advice = "give --resume to go on behind it or --force to replace it"
            raise OptionError(f"{self.output}: exists already; {advice}")

    @property
    def shows_scores(self) -> bool:
        """Whether --scores was given."""
        return bool(self.given.values["return_scores"])

    @property
    def num_hypotheses(self) -> int:
        """Number of hypotheses per text."""
        return int(self.given.values["num_hypotheses"])

    def _without_effect(self) -> list[str]:
        """Return the options that were typed and have no effect."""
        typed = self.given.typed
        if self.score:
            ignored = [option for name, option in typed.items() if name not in _WITH_SCORE]
            return [f"{', '.join(ignored)}: no effect with --score, which searches nothing"] if ignored else []
        if self.follow:
            ignored = [option for name, option in typed.items() if name in _NOT_FOLLOWED]
            return [f"{', '.join(ignored)}: no effect with --follow, which answers each line"] if ignored else []
        problems = []
        if not self.as_json:
            shown = set(names_where(DecodingOptions, group=JSON))
            shown -= set() if self.attention_plot is None else {"return_attention"}
            problems += [f"{option}: needs --json, which shows them" for name, option in typed.items() if name in shown]
        elif self.shows_scores:
            problems.append("--scores: no effect with --json, which shows them anyway")
        problems += ensemble_problems(self, typed)
        if self.stream or self.interactive:
            ignored = [option for name, option in typed.items() if name in _OF_LISTS]
            problems += [f"{', '.join(ignored)}: no effect where texts are decoded one by one"] if ignored else []
        elif self.texts and "read_ahead" in typed:
            problems.append("--read-ahead: no effect with TEXT, which is decoded at once")
        return problems


def _undecoded(texts: Sequence[str]) -> list[str]:
    """Return the texts of a command line that aren't UTF-8: in these Python replaces bytes by surrogates."""
    return [
        f"text {number} is not UTF-8: {text!r}"
        for number, text in enumerate(texts, 1)
        if any("\ud800" <= character <= "\udfff" for character in text)
    ]


def run(settings: Settings) -> None:
    """Do what the command was asked.

    Raises:
        S2SError, OSError: something went wrong; the message says it in one line.
    """
    with closing(_load(settings)) as model:
        if settings.follow:
            lines, following = _each_text(settings), model.start()
            for answer in follow_lines.follow_lines(following, model.manifest, lines, as_json=settings.as_json):
                _show(f"{answer}\n")
        elif settings.stream or settings.interactive:
            _one_by_one(model, settings)
        elif settings.attention_plot is not None:
            _plot(model, settings, settings.attention_plot)
        else:
            work = _score_lines(model, settings) if settings.score else _decode_lines(model, settings)
            _all_lines(settings, _of_records(work, settings) if isinstance(work, DecodeLines) else work)
            _report(work)


def _load(settings: Settings) -> Model:
    model = load_together(settings.bundle, settings, workers=settings.workers)
    manifest, source = model.manifest, model.manifest.source
    if len(manifest.given_names) - len(source.known) > 1:
        read = " and ".join(map(repr, manifest.given_names))
        raise InputError(
            f"{settings.bundle}: this bundle's model reads {read}, but a line holds one text: "
            "decode from Python with s2s_runtime.load(...).generate({name: [...], ...})"
        )
    names = " and ".join(map(repr, source.known))
    if source.known and settings.score:
        raise InputError(
            f"--score: this bundle's model reads {names} step by step: score from Python, with score(..., known=...)"
        )
    if source.known and settings.known is None:
        raise InputError(
            f"{settings.bundle}: this bundle's model reads {names} at each step of the target, known in advance: give "
            "--known FILE.npz with an array of that name, a row for each text"
        )
    if settings.known is not None and not source.known:
        raise InputError(
            f"--known: the model of {settings.bundle} reads nothing that is known in advance; leave it out"
        )
    return model


def _decode_lines(model: Model, settings: Settings) -> DecodeLines:
    given, manifest = settings.given, model.manifest
    if settings.alignment:
        given = given.with_values(return_attention=True)
    options = decoding_options(
        given.of(DecodingOptions), manifest, scores=settings.as_json or settings.moses or settings.phonetisaurus
    )
    alignment = Alignment(manifest.source_vocabulary, manifest.target_vocabulary) if settings.alignment else None
    numbered = settings.num_hypotheses > 1
    decoding = model.prepare(**options)
    costs = decoding.plan.length_penalty if settings.phonetisaurus else None
    several = not (
        settings.moses or settings.alignment or settings.phonetisaurus
    )  # formats that have no place for more
    written = LineFormat(settings.as_json, settings.shows_scores, numbered, settings.moses, costs, alignment, several)
    prefix = settings.given.values["prefix"]
    if prefix is not None and model.target_vocabulary is None:
        prefix = numbers(prefix, "--prefix", "target")
    known = {} if settings.known is None else read_arrays(settings.known, model.manifest.source.known)
    return DecodeLines(decoding, written, prefix, settings.keep_empty, known)


def _of_records(work: DecodeLines, settings: Settings) -> Work:
    """Return work on records, where lines are such."""
    if settings.records is None:
        return work
    column = settings.column or ("text" if settings.records == "jsonl" else "1")
    return records.RecordLines(work, settings.records, column, settings.as_json, settings.shows_scores)


def _score_lines(model: Model, settings: Settings) -> ScoreLines:
    return ScoreLines(model, scoring_options(settings.given.values, model.manifest), settings.as_json)


def _all_lines(settings: Settings, work: Work) -> None:
    """Decode texts of the command line, of a file or of standard input, to a file or standard output."""
    named, skip = _NamedTexts(work), _done_already(settings)
    if settings.texts:
        left = settings.texts[skip:]
        written = named(left, skip).encode() if left else b""
        with _opened(settings) as target:  # now that there is something to put in the place of what it held
            write_all(target, written)
    else:
        with _source(settings) as source, _opened(settings) as target, byte_progress(source.size) as shown:
            run_lines(source, target, named, skip=skip, read_ahead=settings.read_ahead, on_progress=shown)


def _source(settings: Settings) -> AbstractContextManager[TextSource]:
    """Return a context that opens the source of the lines."""
    if settings.input is None:
        return nullcontext(TextSource(standard_input(), "standard input", settings.encoding))
    return open_text(settings.input, settings.encoding)


def _opened(settings: Settings) -> AbstractContextManager[IO[bytes]]:
    """Return a context that opens the file, or standard output, for the results."""
    if settings.output is None:
        return nullcontext(standard_output())
    return open_output(settings.output, resume=settings.resume)


def _done_already(settings: Settings) -> int:
    """Return how many texts the output to resume holds."""
    if not settings.resume or settings.output is None or not settings.output.exists():
        return 0
    numbered = settings.num_hypotheses > 1 and not (settings.as_json or settings.score)
    return drop_last_text(settings.output) if numbered else count_lines(settings.output)


@dataclass(frozen=True, slots=True)
class _NamedTexts:
    """Work whose errors say which text is wrong, counted from 1."""

    work: Work

    def __call__(self, lines: Sequence[str], first: int) -> str:
        with naming(_text_at):
            return self.work(lines, first)


def _text_at(index: int) -> str:
    return f"text {index + 1}"


def _plot(model: Model, settings: Settings, path: Path) -> None:
    """Decode the one text, write it, and draw its attention."""
    check_picture(path)
    drawn = replace(settings, given=settings.given.with_values(return_attention=True))
    work, [text] = _decode_lines(model, drawn), drawn.texts
    [result] = work.results([text], 0)
    _show(work.write(1, text, result))
    plot_attention(result.hypotheses[0], result.source_tokens, path)
    _report(work)


def _one_by_one(model: Model, settings: Settings) -> None:
    """Write each text before the next is read, piece by piece with --stream; at a prompt, errors don't end it."""
    work = _decode_lines(model, settings)
    for number, text in enumerate(_each_text(settings), 1):
        try:
            if settings.stream:
                with naming(_text_at):
                    for piece in work.pieces(text, number - 1):
                        _show(piece)
                _show("\n")
            else:
                _show(work([text], number - 1))
        except (InputError, UnknownSymbolError) as error:
            if not settings.interactive:
                raise
            warn(f"error: {error if error.place is None else error.reason}")
    _report(work)


def _show(text: str) -> None:
    """Write to standard output in UTF-8, whatever its own encoding is, as files are written."""
    write_all(standard_output(), text.encode())


def _each_text(settings: Settings) -> Iterator[str]:
    if settings.interactive:
        yield from prompted("> ")
    elif settings.texts:
        yield from settings.texts
    else:
        with _source(settings) as source:
            for number, [line] in enumerate(read_windows(source, 1), 1):
                yield decode_line(line, f"text {number}")


def _report(work: DecodeLines | ScoreLines) -> None:
    """Say on stderr which symbols the model doesn't know, the most frequent first, and how many texts were too long."""
    for done, count in work.long_lines.items() if isinstance(work, DecodeLines) else ():
        warn(f"warning: {f'{count} texts were' if count > 1 else '1 text was'} longer than allowed and {done}")
    unknown = work.unknown
    if unknown:
        most = ", ".join(f"{symbol!r} ({count})" for symbol, count in unknown.most_common(_REPORTED))
        more = f" and {len(unknown) - _REPORTED} more" if len(unknown) > _REPORTED else ""
        warn(f"warning: {unknown.total()} symbols that the model doesn't know: {most}{more}")


def _holds_something(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0

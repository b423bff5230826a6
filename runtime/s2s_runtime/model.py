"""The model as callers see it: it takes texts or numbers and gives results."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2s_runtime.declared_options import known_keywords, takes_options
from s2s_runtime.decoding.decoding import Decoding
from s2s_runtime.inputs.sources import Inputs, Known, Row, with_known
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.loaded_bundle import LoadedBundle
from s2s_runtime.options import READ_AHEAD, CancelSignal, DecodingOptions, Prefix
from s2s_runtime.options.types import UnknownPolicy
from s2s_runtime.results import Result, Results, TargetScore

if TYPE_CHECKING:
    from s2s_runtime.decoding import decoder_state, predict_values, score_targets, streaming, text_files
    from s2s_runtime.options import values as option_values
    from s2s_runtime.search import cancellation
else:  # what one verb alone needs is imported with its first call
    decoder_state, predict_values = LazyModule("decoding.decoder_state"), LazyModule("decoding.predict_values")
    score_targets, streaming = LazyModule("decoding.score_targets"), LazyModule("decoding.streaming")
    text_files, option_values = LazyModule("decoding.text_files"), LazyModule("options.values")
    cancellation = LazyModule("search.cancellation")


class Model(LoadedBundle):
    """A bundle that is ready to decode. `s2s_runtime.load` makes it.

    It may be shared between threads: each call keeps what changes to itself. A `with` block closes it at its end.

    A sentence's logits may differ in their last bits with the number of rows computed together, as float32 matrix
    products of different sizes add in a different order. Tokens are the same whatever else is in the batch, except
    where two candidates are that near to a tie.

    Every verb may raise OptionError (an option out of range, or that needs what the bundle lacks; nothing has run
    then), InputError (inputs of the wrong type, shape, range or length), UnknownSymbolError (a text holds a symbol
    that its vocabulary doesn't), RunError (the model failed while it ran), CancelledError (`cancel` was set) and
    ClosedModelError.

    Args:
        manifest: manifest of the bundle.
        step_model: its graphs, or any other step model.
        provider: the execution provider that decodes, by onnxruntime's name.
        workers: threads that decode the batches of a list side by side; None = batches are decoded one after the other.
        name: the model's name in its `repr`.
    """

    @takes_options(DecodingOptions)
    def prepare(self, options: DecodingOptions | None = None, **values: Unpack[option_values.OptionValues]) -> Decoding:
        """Check options once and return what decodes list after list with them: `prepare(...).decode(inputs, None)`."""
        return self._decoding("generate", options, values)

    @takes_options(DecodingOptions)
    def generate(
        self,
        inputs: Inputs,
        *,
        known: Known | None = None,
        options: DecodingOptions | None = None,
        **values: Unpack[option_values.OptionValues],
    ) -> Results:
        """Decode sources, all at once or in batches, greedily or by beam search.

        Args:
            inputs: texts, where the bundle has a source vocabulary; lists of ids of any lengths; an integer array
                (sentences, time); float arrays (sentences, time, features) where the source is values; one-hot
                arrays too where the model reads these. A model of several sources takes a mapping from their names
                (`manifest.source.names`) to any of these, with as many rows for each name.
            known: what the decoder reads at each step beside its own output, known in advance: arrays by name
                (`manifest.source.known`) of as many rows; no target is longer. May stand among `inputs` too.
            options: how to decode; `values` override its fields. Every verb takes options in these two ways.
            **values: the fields of `DecodingOptions`.

        Returns:
            One result per source, in order. An empty source (a text without symbols, a row of nothing but masked
            padding) gives an empty hypothesis with score 0, without asking the model.
        """
        decoding = self._decoding("generate", options, values)
        return decoding.decode(with_known(inputs, known, self._manifest), decoding.options.prefix)

    @takes_options(DecodingOptions)
    def generate_iter(
        self,
        inputs: Iterable[Row | Mapping[str, Row]],
        *,
        prefixes: Iterable[Prefix | None] | None = None,
        read_ahead: int = READ_AHEAD,
        options: DecodingOptions | None = None,
        **values: Unpack[option_values.OptionValues],
    ) -> Iterator[Result]:
        """Decode any number of sources, in memory that doesn't grow with their number.

        Args:
            inputs: what `generate` takes, one at a time (for several sources a mapping each, names to rows); read as
                the results are taken.
            prefixes: forced first tokens of each source, read along with them; instead of the option `prefix`.
            read_ahead: how many sources are read, sorted by length, decoded together and given out in order before the
                next are read.
            options: see `generate`.
            **values: the fields of `DecodingOptions`, without `prefix`.

        Returns:
            An iterator over one result per source, in order. An error in one of the sources read together is raised
            before the results of the others among them.
        """
        return streaming.generate_windows(
            self._decoding("generate_iter", options, values), inputs, prefixes, read_ahead
        )

    @takes_options(DecodingOptions)
    def generate_file(
        self,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        *,
        resume: bool = False,
        read_ahead: int = READ_AHEAD,
        on_progress: Callable[[int, int], None] | None = None,
        encoding: str | None = None,
        options: DecodingOptions | None = None,
        **values: Unpack[option_values.OptionValues],
    ) -> text_files.FileReport:
        """Decode the lines of a file into a file of as many lines, the best hypothesis of each.

        Lines are written as soon as they are decoded, and only whole lines: a killed run can be resumed.

        Args:
            source: a text file, packed by gzip, bzip2 or xz or not; an empty line gives an empty line.
            target: the file to write; what it holds is replaced unless `resume` is set.
            resume: whether to keep the lines that it holds and go on behind them.
            read_ahead: see `generate_iter`.
            on_progress: called now and then with the lines decoded and the bytes of the packed source that they took.
            encoding: encoding of the source, as Python names it; None = UTF-8.
            options: see `generate`.
            **values: the fields of `DecodingOptions`, without `prefix`, `num_hypotheses` being 1.

        Raises:
            FileNotFoundError: there is no such source.
            InputError: the source isn't in that encoding, is damaged, or has fewer lines than the output to resume.
            OptionError: an option is out of range, or the target is the source.
        """
        decoding = self._decoding("generate_file", options, values)
        return text_files.decode_file(
            decoding,
            source,
            target,
            resume=resume,
            read_ahead=read_ahead,
            on_progress=on_progress,
            encoding=encoding,
        )

    @takes_options(DecodingOptions)
    def stream(
        self,
        source: Row | Mapping[str, Row],
        *,
        known: Mapping[str, Row] | None = None,
        options: DecodingOptions | None = None,
        **values: Unpack[option_values.OptionValues],
    ) -> Iterator[str]:
        """Decode one source greedily (or by sampling) and yield its text piece by piece as it is written.

        The pieces joined together are the text that `generate` gives.

        Args:
            source: a text, or ids; for several sources a mapping from their names to these.
            known: a row for each name; see `generate`.
            options: see `generate`.
            **values: as for `generate`; beam search, several hypotheses, alternatives, replaced unknown tokens and
                what a graph writes in one run can't be streamed.
        """
        decoding = self._decoding("stream", options, values)
        return streaming.stream_pieces(decoding, with_known(source, known, self._manifest))

    @takes_options(DecodingOptions)
    def score(
        self,
        sources: Inputs,
        targets: Sequence[score_targets.Target],
        *,
        known: Known | None = None,
        add_end: bool = True,
        options: DecodingOptions | None = None,
        **values: Unpack[option_values.ScoreValues],
    ) -> list[TargetScore]:
        """Score how likely given targets are, by forced decoding.

        With the same penalties, a hypothesis of `generate` has the score that this gives to its tokens: with the end
        token where its `finish_reason` is "end", with `add_end=False` otherwise.

        Args:
            sources: as `inputs` of `generate`; none may be empty.
            targets: a text (where the bundle has a target vocabulary) or ids for each source.
            known: see `generate`.
            add_end: whether the bundle's (first) end token is put after each target that has none.
            options: see `generate`; only the options that apply to scoring count.
            **values: see `ScoreValues`.
        """
        self._need_tokens("score")
        sources = with_known(sources, known, self._manifest)
        given = (self._manifest, self.step_model, sources, targets, score_targets.score_options(options, values))
        return score_targets.score_pairs(*given, workers=self._workers, add_end=add_end)

    @overload
    def predict(
        self,
        inputs: Inputs,
        *,
        known: Known | None = None,
        steps: int | None = None,
        start: ArrayLike | None = None,
        stop: None = None,
        max_batch_size: int = 64,
        cancel: CancelSignal | None = None,
    ) -> NDArray[np.float32]: ...

    @overload
    def predict(
        self,
        inputs: Inputs,
        *,
        known: Known | None = None,
        steps: int | None = None,
        start: ArrayLike | None = None,
        stop: predict_values.Stop,
        max_batch_size: int = 64,
        cancel: CancelSignal | None = None,
    ) -> list[NDArray[np.float32]]: ...

    @known_keywords
    def predict(
        self,
        inputs: Inputs,
        *,
        known: Known | None = None,
        steps: int | None = None,
        start: ArrayLike | None = None,
        stop: predict_values.Stop | None = None,
        max_batch_size: int = 64,
        cancel: CancelSignal | None = None,
    ) -> NDArray[np.float32] | list[NDArray[np.float32]]:
        """Predict sequences of values, each output fed back as the next input.

        Args:
            inputs: float array (sentences, time, features), or a list of arrays (time, features). Where a step has
                several axes (`manifest.source.step`), they take the place of the features, here and below.
            known: what the decoder reads at each step, known in advance, such as {"temperature": array}: float
                (sentences, steps, features) for each name in `manifest.source.known`. See `generate`.
            steps: how many values to predict, at most as many with `stop`; None = the bundle's number, or, where it
                has none, as many as are known in advance.
            start: value read at the first step, (features,) or (sentences, features); None = zeros.
            stop: called after each step with what the sequences that still run have so far, float32 (rows, steps,
                features), not to be written to; returns one bool per row, True where the step just made is the last.
                Rows are those of a batch, in no order to rely on: decide by a row's values alone.
            max_batch_size: most sequences computed at once.
            cancel: see `DecodingOptions`.

        Returns:
            float32 (sentences, steps, features); with `stop` a list of float32 (steps, features), one array for each
            sequence. Of a model of several outputs a dictionary of these, by their names.
        """
        self._need_values("predict")
        parts = self._manifest, cancellation.cancellable(self.step_model, cancel)
        given = with_known(inputs, known, self._manifest)
        return predict_values.predict(*parts, given, start, steps=steps, max_batch_size=max_batch_size, stop=stop)

    @known_keywords
    def encode(
        self,
        inputs: Inputs,
        *,
        known: Known | None = None,
        start: ArrayLike | None = None,
        unknown_symbols: UnknownPolicy | None = None,
    ) -> decoder_state.DecoderState:
        """Run the encoder alone, and return the state in which decoding starts.

        Args:
            inputs: as for `generate`, computed all at once; none may be empty.
            known: see `generate`. Steps beyond its end read its last one again.
            start: as for `predict`, where the model gives values.
            unknown_symbols: see `DecodingOptions`.
        """
        self._need_states("encode")
        options = DecodingOptions(unknown_symbols=unknown_symbols)
        given = with_known(inputs, known, self._manifest)
        return decoder_state.encode(self._manifest, self.step_model, given, options, start)

    @known_keywords
    def advance(
        self, state: decoder_state.DecoderState, targets: Sequence[score_targets.Target]
    ) -> decoder_state.DecoderState:
        """Return the state after given tokens have been written.

        `generate_from(advance(state, [ids]))` goes on as a sequence does that wrote these ids itself.

        Args:
            state: what `encode` or `advance` returned; it stays as it is.
            targets: a text or ids for each row; an empty one leaves its row where it is.
        """
        self._need_tokens("advance")
        return decoder_state.advance(self._manifest, self.step_model, state, targets)

    @takes_options(DecodingOptions)
    def generate_from(
        self,
        state: decoder_state.DecoderState,
        *,
        options: DecodingOptions | None = None,
        **values: Unpack[option_values.OptionValues],
    ) -> Results:
        """Decode on from a state, all its rows at once.

        Lengths, penalties and scores count what is written from here on.

        Args:
            state: what `encode` or `advance` returned; it stays as it is.
            options: see `generate`.
            **values: as for `generate`; alternatives can't be asked for.

        Returns:
            One result per row.
        """
        self._need_tokens("generate_from")
        return decoder_state.generate_from(self._manifest, self.step_model, state, self._chosen(options, values))

    @known_keywords
    def predict_from(
        self, state: decoder_state.DecoderState, *, steps: int | None = None
    ) -> tuple[NDArray[np.float32], decoder_state.DecoderState]:
        """Predict values on from a state.

        Args:
            state: what `encode` or an earlier call returned; it stays as it is.
            steps: how many values to predict; None = the bundle's number.

        Returns:
            The values, float32 (rows, steps, features), and the state after them.
        """
        self._need_values("predict_from")
        return decoder_state.predict_from(self._manifest, self.step_model, state, steps)

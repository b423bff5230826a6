"""The manifest of a bundle: what its graphs are, what they read and write, how text becomes ids.

`manifest.json` describes the ONNX graphs that lie beside it::

    {
      "format": "s2s-bundle", "version": 1,
      "kind": "one-pass",                    left out for an "encoder-decoder"; "one-pass" (the whole model is one
                                             graph), "decoder-only" (a language model: what stands for a
                                             source has no meaning, and callers give the beginning of what is written),
                                             or "ctc" (one pass that gives blanks)
      "graphs": {"encoder": {"file": "encoder.onnx", "sha256": "...", "bytes": 123456},
                 "decoder": {...}, "select_state": {...}, "select_memory": {... only where there is memory},
                 "greedy": {...}, "greedy_scores": {...}, "sample": {...},
                 "sample_top": {...}, "beam": {... where the target is tokens; older bundles lack them, or some}},
      "weights": {"file": "weights.bin", ...},  large constants of all graphs, null where each holds its own
      "source": {"kind": "ids",              "ids", "one-hot" (ids too; -1 = a row of zeros), "values", or
                                             "vector" (no time axis: numbers of a fixed shape, that of its input)
                 "size": 71,                 symbols of the source vocabulary, or features of a step
                 "inputs": [{"name": "source", "dtype": "int64", "shape": [null, null]}],
                 "step": [64, 64, 1]},       only where a step of values has several axes (a frame): their sizes. In the
                                             graph a step is one row of `size` numbers; so in "others" and "target"
                 models with several sources have more: "inputs" of the graph named "source.1" ..., "name": "words",
                 what callers call the first, and "others": [{"name": "tags", "kind": "ids" or the like,
                 "size": 5, "aligned": true (as many steps as the first), "padding": {...}, "known": true (only where
                 it holds what the decoder reads, a step of the target each, known in advance; these come last)}].
                 Of these the source's vocabulary names those that texts say: its "factors"
      "target": {"feedback": "token",        what the decoder reads next: "token", "probabilities", "value" or "none"
                 "size": 93,                 symbols of the target vocabulary, or features of a step
                 "start_id": 0, "end_ids": [1], "padding_id": null, "unknown_id": null,
                 "max_length": 59,           longest target in tokens, the end token counted; null = unknown
                 "most": 80,                 most steps that the decoder can take, where it holds its prefix in states
                                             of that length and is run on all of it at every step; else left out
                 "blank_id": 41,             class that stands for nothing, of "ctc" alone; else left out
                 "aligned": true,            whether a model that feeds nothing back has as many outputs as the source
                                             has steps; left out where not
                 "name": "slots"},           what callers call this output; left out where it is the only one
      "outputs": [{"target": {...},            what a model of one pass gives beside that: each as "target" above, with
                   "vocabulary": {...}}],    its own symbols, or null; left out where there is one output
      "states": [{"name": "state.0", "dtype": "float32", "shape": [null, 256]}],
      "memory": [{"name": "memory.0", "dtype": "float32", "shape": [null, null, 256]}],
      "attention": false,                    whether the decoder has the output `attention`
      "precision": "float32",                of the weights: "float32", "float16" (states and memory then are float16
                                             too, logits float32), "int8" (what is multiplied too, by a constant
                                             scale) or "int8-weights" (needs onnxruntime 1.22)
      "passes": ["logits", "token_table"],   what the exporter did to its graphs beside converting them
      "padding": {...}, "vocabulary": {"source": {...}, "target": {...}},      as in `vocab.json`
      "verification": {...},                 what the exporter checked and found
      "setup": {...},             how it is known what the model was fed with: see `s2s_runtime.bundle.provenance`
      "calibration": {...},       how sure it may be believed to be: see `s2s_runtime.bundle.calibration`; or left out
      "producers": {"s2s_export": "0.1.0"},  versions of what made the bundle
      "sha256": "..."                        of all the above as JSON with sorted fields, no white space and nothing but
                                             ASCII; older bundles lack it
    }

Fields of other names are errors, so that a misspelled one isn't silently none.

In shapes, null is a free dimension; batch comes first, then time. The graphs:

- `model`, of one pass: `source` (and `source.1`, ...) -> `logits` float32 (batch, positions, size), or `output` where
  feedback is "value"; where there are several outputs, `logits.1` or `output.1` and so on for the others, of positions
  of their own: one, where an output is of the whole source. It stands in place of all others.
- `step`, beside `model` where that is causal: `token` int64 (batch,), or `value` float32 (batch, features) where the
  source is values; `state.*`, zeros before the first -> `logits` or `output` (batch, size); `next_state.*`. Of several
  outputs it gives the first.
- `encoder`: `source` (and `source.1`, ... where there are others) -> `state.0`, ..., `memory.0`, ...
- `decoder`, one step: `token` int64 (batch,) where feedback is "token", or `value` float32 (batch, features) where it
  is "value"; `state.*`; `memory.*` -> `logits` float32 (batch, size), or `output` (batch, features) where feedback is
  "value"; `next_state.*`; `attention` float32 (batch, source time) where there is one. With feedback "none" or
  "probabilities" what the decoder reads next is one of its states.
- `select_state`, `select_memory`: `rows` int64 (n,) and `state.*` or `memory.*` -> `next_state.*` or `next_memory.*`,
  the rows gathered along the batch axis.
- `greedy`, up to `steps` (int64) steps of greedy search: `token` (where it is fed back), `state.*`, `memory.*`; `mask`
  float32 (size,), added to the logits; `goes_on` float32 (size,), 0 at tokens that end a sequence and 1 elsewhere;
  `live` float32 (batch,), 0 at rows that have ended; `least` float32, stop once no more rows than this are live ->
  `tokens` int64 (steps taken, batch); `next_state.*`.
- `greedy_scores`, the same -> `token_scores` float32 (steps taken, batch) too, log-probabilities. `sample`, likewise,
  with tokens drawn: `temperature` float32 (), `numbers` float32 (steps, batch, 1), at random from 0 to below 1.
  `sample_top`, that among the likeliest: `candidates` int64 (1,), how many, and `mass` float32 (), what these of them
  have to reach together, above 1 for all.
- `beam`, `steps` (int64) steps of beam search, the rows of a sentence one after the other: `token`, `state.*`,
  `memory.*`; `width` and `examined` int64 (1,), beams kept and extensions shown per sentence; `mask` float32 (size,),
  added to the log-probabilities; `ending` float32 (size,), -inf at tokens that end a sequence and 0 elsewhere; `scores`
  float32 (sentences, width) -> of each step, best first, `candidate_scores`, `candidate_parents`, `candidate_tokens`
  (steps, sentences, examined) and, of those that don't end, `beam_scores`, `beam_parents`, `beam_tokens` (steps,
  sentences, width); `next_scores`; `next_state.*`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from s2s_runtime.bundle.contradictions import graph_problems, source_problems, vocabulary_problems
from s2s_runtime.bundle.specs import (
    KINDS,
    Feedback,
    GraphFile,
    Kind,
    OtherSource,
    SourceKind,
    SourceSpec,
    TargetSpec,
    TensorSpec,
)
from s2s_runtime.errors import BundleError, VocabularyError
from s2s_runtime.files.json_fields import Fields, digest
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.vocabulary.padding import PaddingPolicy
from s2s_runtime.vocabulary.vocabulary import Vocabulary

if TYPE_CHECKING:
    from s2s_runtime.bundle import calibration as calibrations
    from s2s_runtime.bundle import further_outputs, provenance, summary
    from s2s_runtime.vocabulary import factors
else:  # what a manifest may have
    calibrations, provenance = LazyModule("bundle.calibration"), LazyModule("bundle.provenance")
    factors, further_outputs = LazyModule("vocabulary.factors"), LazyModule("bundle.further_outputs")
    summary = LazyModule("bundle.summary")

__all__ = [
    "Feedback",
    "GraphFile",
    "Kind",
    "Manifest",
    "OtherSource",
    "SourceKind",
    "SourceSpec",
    "TargetSpec",
    "TensorSpec",
]

FORMAT: Final = "s2s-bundle"
VERSION: Final = 1

Precision = Literal["float32", "float16", "int8", "int8-weights"]
_PRECISIONS: Final = ("float32", "float16", "int8", "int8-weights")


@dataclass(frozen=True)
class Manifest:
    """The content of `manifest.json`; the module's documentation describes each field.

    Raises:
        BundleError: lists everything that contradicts itself.
    """

    graphs: Mapping[str, GraphFile]
    source: SourceSpec
    target: TargetSpec
    states: tuple[TensorSpec, ...]
    memory: tuple[TensorSpec, ...]
    attention: bool
    padding: PaddingPolicy
    weights: GraphFile | None = None
    precision: Precision = "float32"
    passes: tuple[str, ...] = ()
    source_vocabulary: Vocabulary | None = None
    target_vocabulary: Vocabulary | None = None
    verification: Mapping[str, object] = field(default_factory=dict)
    producers: Mapping[str, str] = field(default_factory=dict)
    setup: provenance.Provenance | None = None
    kind: Kind = "encoder-decoder"
    calibration: calibrations.Calibration | None = None
    outputs: tuple[further_outputs.FurtherOutput, ...] = ()

    def __post_init__(self) -> None:
        problems = graph_problems(self.kind, self.graphs, self.target, self.states, self.memory)
        problems += [*source_problems(self.source, self.padding), *self.target.problems(self.kind)]
        problems += vocabulary_problems(self.source, self.target, self.source_vocabulary, self.target_vocabulary)
        if self.outputs or self.target.name is not None:
            problems += further_outputs.output_problems(self.kind, self.target, self.outputs)
        if problems:
            raise BundleError("; ".join(problems))

    def __repr__(self) -> str:
        return f"<Manifest: {self.summary}>"

    @property
    def summary(self) -> str:
        """One line about the model: what it reads and writes, what its decoder reads next, and its states."""
        source, target = (self.source, self.source_vocabulary), (self.target, self.target_vocabulary)
        computed = ["attention", self.precision] if self.attention else [self.precision]
        return summary.summary_of(self.kind, source, target, self.states, computed, further=len(self.outputs))

    @property
    def one_graph(self) -> bool:
        """Whether the whole model is one graph, to which nothing is fed back."""
        return self.kind in ("one-pass", "ctc")

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of all outputs, the first one's first; empty where there is one."""
        targets = (self.target, *(output.target for output in self.outputs))
        return tuple(target.name for target in targets if target.name is not None)

    def of_output(self, name: str) -> Manifest:
        """Return the manifest as if one of several outputs were the only one."""
        if name == self.target.name:
            return replace(self, target=replace(self.target, name=None), outputs=())
        output = next(each for each in self.outputs if each.target.name == name)
        graphs = {graph: file for graph, file in self.graphs.items() if graph != "step"}  # which gives the first
        return replace(
            self,
            graphs=graphs,
            states=(),
            target=replace(output.target, name=None),
            target_vocabulary=output.vocabulary,
            calibration=None,
            outputs=(),
        )

    @property
    def input_vocabulary(self) -> Vocabulary | None:
        """The vocabulary of what callers give: the source's, or the target's where they give its beginning."""
        return self.target_vocabulary if self.kind == "decoder-only" else self.source_vocabulary

    @property
    def factor_names(self) -> tuple[str, ...]:
        """The names of those of `source.others` that a text says, as the factors of its symbols."""
        return () if self.source_vocabulary is None else self.source_vocabulary.factor_names

    @property
    def given_names(self) -> tuple[str, ...]:
        """The names of the sources that callers give beside each other, where texts say the factors."""
        factors = self.factor_names
        return tuple(name for name in self.source.names if name not in factors) if factors else self.source.names

    def to_dict(self) -> dict[str, object]:
        """Return the content of `manifest.json`."""
        source, target = self.source_vocabulary, self.target_vocabulary
        return {
            "format": FORMAT,
            "version": VERSION,
            **({} if self.kind == "encoder-decoder" else {"kind": self.kind}),
            "graphs": {name: graph.to_dict() for name, graph in self.graphs.items()},
            "weights": None if self.weights is None else self.weights.to_dict(),
            "source": self.source.to_dict(),
            "target": self.target.to_dict(),
            **({"outputs": [output.to_dict() for output in self.outputs]} if self.outputs else {}),
            "states": [tensor.to_dict() for tensor in self.states],
            "memory": [tensor.to_dict() for tensor in self.memory],
            "attention": self.attention,
            "precision": self.precision,
            "passes": list(self.passes),
            "padding": self.padding.to_dict(),
            "vocabulary": {
                "source": None if source is None else source.to_dict(),
                "target": None if target is None else target.to_dict(),
            },
            "verification": dict(self.verification),
            **({} if self.setup is None else {"setup": self.setup.to_dict()}),
            **({} if self.calibration is None else {"calibration": self.calibration.to_dict()}),
            "producers": dict(self.producers),
        }

    @classmethod
    def from_dict(cls, data: object) -> Manifest:
        """Read the content of `manifest.json`.

        Raises:
            BundleError: lists every field that is missing, has a wrong value, or contradicts another.
        """
        problems: list[str] = []
        fields = Fields(data, "", problems)
        _check_format(fields)
        graphs = fields.mapping("graphs")
        vocabulary = fields.child("vocabulary")
        parts = {
            "kind": fields.choice("kind", KINDS, "encoder-decoder"),
            "graphs": {name: GraphFile.read(Fields(item, f"graphs.{name}", problems)) for name, item in graphs.items()},
            "weights": GraphFile.read(part) if (part := _part(fields, "weights", problems)) else None,
            "source": SourceSpec.read(fields.child("source")),
            "target": TargetSpec.read(fields.child("target")),
            "states": tuple(TensorSpec.read(item) for item in fields.children("states")),
            "memory": tuple(TensorSpec.read(item) for item in fields.children("memory")),
            "attention": fields.boolean("attention"),
            "precision": fields.choice("precision", _PRECISIONS, "float32"),
            "passes": fields.texts("passes", []),
            "padding": _read_padding(fields, problems),
            "source_vocabulary": _read_vocabulary(vocabulary, "source", problems),
            "target_vocabulary": _read_vocabulary(vocabulary, "target", problems),
            "verification": fields.mapping("verification", {}),
            "producers": _read_producers(fields, problems),
            "setup": provenance.Provenance.read(part) if (part := _part(fields, "setup", problems)) else None,
            "calibration": calibrations.Calibration.read(part)
            if (part := _part(fields, "calibration", problems))
            else None,
            "outputs": tuple(further_outputs.FurtherOutput.read(item) for item in fields.children("outputs", [])),
        }
        own = fields.text("sha256") if "sha256" in fields.to_dict() else None  # not so in older bundles
        vocabulary.refuse_others()
        fields.refuse_others()
        if own is not None and not problems and own != _digest_without_own(fields.to_dict()):
            problems.append("sha256: the manifest was altered: it is another than what this field says")
        if problems:
            raise BundleError("; ".join(problems))
        return cls(**parts)  # type: ignore[arg-type]  # each part was checked above


def _check_format(fields: Fields) -> None:
    """Refuse a document of another kind or a newer version at once: its other fields mean something else."""
    problems: list[str] = []
    given = fields.raw("format", None)
    if given != FORMAT:
        problems.append(f"format: expected {FORMAT!r}, got {given!r}")
    version = fields.raw("version", None)
    if version != VERSION:
        advice = "; install a newer s2s-runtime" if isinstance(version, int) and version > VERSION else ""
        problems.append(f"version: this version of s2s-runtime reads {VERSION}, got {version!r}{advice}")
    if problems:
        raise BundleError("; ".join(problems))


def _part(fields: Fields, name: str, problems: list[str]) -> Fields | None:
    data = fields.raw(name, None)
    return None if data is None else Fields(data, name, problems)


def _read_producers(fields: Fields, problems: list[str]) -> dict[str, str]:
    found = fields.mapping("producers", {})
    versions = Fields(found, "producers", problems)
    return {name: versions.text(name) for name in found}


def _digest_without_own(data: dict[str, object]) -> str:
    return digest({name: value for name, value in data.items() if name != "sha256"})


def _read_padding(fields: Fields, problems: list[str]) -> PaddingPolicy:
    try:
        return PaddingPolicy.from_dict(fields.raw("padding", None))
    except VocabularyError as error:
        problems.append(str(error))
        return PaddingPolicy(masked=False)


def _read_vocabulary(fields: Fields, name: str, problems: list[str]) -> Vocabulary | None:
    data = fields.raw(name, None)
    if data is None:
        return None
    has_factors = name == "source" and isinstance(data, Mapping) and data.get("factors") is not None
    try:
        return (factors.FactoredVocabulary if has_factors else Vocabulary).from_dict(data, f"vocabulary.{name}")
    except VocabularyError as error:
        problems.append(str(error))
        return None

"""Terms in which decoding options are declared: headings, engines, verbs, other libraries, what several need."""

from __future__ import annotations

from typing import Final

from s2s_runtime.declared_options import Need

SEARCH: Final = "Search"
TOKENS: Final = "What may be written"
SAMPLING: Final = "Sampling"
RUNNING: Final = "Running"
LANGUAGE: Final = "Language models"
FILES: Final = "Input and output"

GREEDY_GRAPH: Final = "greedy graph"
BEAM_GRAPH: Final = "beam graph"
STEPS: Final = "steps"
ONLY_STEPS: Final = frozenset({STEPS})  # what neither graph can do
NOT_BEAM_GRAPH: Final = frozenset({GREEDY_GRAPH, STEPS})

SCORE: Final = ("score",)
JSON: Final = "shown by --json alone"
BUNDLES: Final = "of further bundles"
LISTS: Final = "of lists"

GREEDY: Final = Need(
    words="beam_size 1", present=lambda given: given.beam_size == 1, got=lambda given: f"beam_size {given.beam_size}"
)
GREEDY_OR_STOCHASTIC: Final = Need(
    words="beam_size 1 or stochastic_beams",
    present=lambda given: given.beam_size == 1 or given.stochastic_beams,
    got=lambda given: f"beam_size {given.beam_size}",
)
BEAMS: Final = Need(words="beam_size above 1", present=lambda given: given.beam_size > 1)
SAMPLES: Final = Need(words="one of the sampling options", present=lambda given: given.sampling)


def named(ctranslate2: str = "", fairseq: str = "", hugging_face: str = "") -> dict[str, str]:
    """Tell what other libraries call an option, where they have it."""
    libraries = {"CTranslate2": ctranslate2, "fairseq": fairseq, "Hugging Face": hugging_face}
    return {library: name for library, name in libraries.items() if name}

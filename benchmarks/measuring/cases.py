"""What is compared: the models, the peers of each, and how they are asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BEAM_SIZE = 5

Unit = Literal["step", "batch", "sentences"]


@dataclass(frozen=True)
class Cell:
    """One column of a table: how the peers are called.

    Args:
        batch: sentences decoded at once.
        beam: 1 = greedy.
        sentences: the first so many are decoded, batch after batch, in what is timed as one; 0 = one batch.
        texts: whether texts are given and asked for, instead of ids.
    """

    batch: int
    beam: int = 1
    sentences: int = 0
    texts: bool = False

    @property
    def count(self) -> int:
        """How many sentences are decoded."""
        return self.sentences or self.batch


@dataclass(frozen=True)
class Case:
    """One model and its peers.

    Args:
        title: in words.
        peers: modules in `peers/`, a variant after a colon; the order of the tables.
        cells: how they are called.
        prepared: which model `prepare.py` makes; "" = that of the case's name.
        unit: "step" = microseconds per decoding step of the whole batch; "batch" = milliseconds per batch;
            "sentences" = sentences per second.
    """

    title: str
    peers: tuple[str, ...]
    cells: tuple[Cell, ...]
    unit: Unit
    prepared: str = ""


_OURS = ("ours", "ours:int8")
_BATCHES = (Cell(1), Cell(32), Cell(256))
_COMPILED = ("torch_eager", "torch_compile", "xla", "jax_scan", "tf2onnx_loop")
_PRODUCTS = ("products:numpy", "products:torch", "products:onnxruntime")
# At batch 1 eight sentences are timed together: their lengths differ.
_SEARCHES = (Cell(1, sentences=8), Cell(32), Cell(1, BEAM_SIZE, 8), Cell(32, BEAM_SIZE))

_TAGGERS = ("tagger_keras:predict", "tagger_keras:function", "tagger_keras:xla", "tagger_xla", "tagger_jax")

CASES = {
    "canonical": Case(
        "the canonical translator, 256 units", ("keras_predict", *_COMPILED, *_OURS, *_PRODUCTS), _BATCHES, "step"
    ),
    "large": Case("the canonical translator, 1,024 units", (*_COMPILED, *_OURS, *_PRODUCTS), _BATCHES, "step"),
    "attention": Case(
        "attention with input feeding, 256 units", ("joeynmt", "torch_attention", *_OURS), _SEARCHES, "batch"
    ),
    "words": Case(
        "attention with input feeding, 512 units, two layers, 8,000 words",
        ("joeynmt", "torch_attention", *_OURS),
        (*_SEARCHES[:2], Cell(256), *_SEARCHES[2:]),
        "batch",
    ),
    "text": Case(
        "10,000 sources of real text, greedy",
        ("torch_eager", "torch_compile", "xla", "jax_scan", "tf2onnx_loop", *_OURS),
        (Cell(256, sentences=10_000),),
        "sentences",
    ),
    "tagger": Case(
        "a tagger of one pass",
        (*_TAGGERS, "tagger_jax:apart", "tagger_onnx:plain", "tagger_onnx:graph", "ours"),
        (*_BATCHES, *(Cell(cell.batch, texts=True) for cell in _BATCHES)),
        "batch",
    ),
}

DEVICES = ("cuda", "host")
"""Where the paths of GPUs run: on one, or, to try them without, on the CPU as if its memory were a device's."""


def device_cases(device: str) -> dict[str, Case]:
    """Return the cases of `gpu.py`: whole graphs, search step by step, and float16, beside PyTorch on the same device.

    Args:
        device: one of `DEVICES`.
    """
    ours = tuple(f"ours:{device}{way}" for way in ("", "-steps", "-float16"))
    return {
        "gpu-canonical": Case(
            "the canonical translator, 256 units", (f"torch_eager:{device}", *ours), _BATCHES, "step", "canonical"
        ),
        "gpu-attention": Case(
            "attention with input feeding, 256 units",
            (f"torch_attention:{device}", *ours),
            _SEARCHES,
            "batch",
            "attention",
        ),
    }

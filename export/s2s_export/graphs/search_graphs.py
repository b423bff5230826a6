"""Whole-search graphs: many decoder steps in one run, with the choice of the tokens inside.

Behind the nodes of the step graph comes what a host would do between two steps: mask, choose, reorder. One run writes
many tokens, so nothing is bound, copied or handed to Python per token, and on a device only ids and scores leave it.
What depends on the memory alone (keys of an attention, its mask) is computed once, before the loop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import onnx
from onnx import helper

from s2s_export.convert.graph_editor import GraphEditor, reads
from s2s_export.convert.weighted_model import Folds, WeightedModel
from s2s_export.graphs.onnx_loop import GO, OneRow, Search, hold_constants, keep_kernels, looped
from s2s_export.graphs.token_choice import READ, SCORES, choose_token
from s2s_export.passes.gate_passes import group_gates, take_gates_apart
from s2s_export.passes.registry import Passes
from s2s_runtime.bundle.manifest_file import TensorSpec
from s2s_runtime.search.step_model import Choice

BIAS_OF_8_BITS: Final = {"MatMulIntegerToFloat": 6, "MatMulNBits": 5}
"""Onnxruntime's products of 8 bits, and which of their inputs is added to each row of the result."""


@dataclass(frozen=True)
class Carried:
    """What a decoder takes from step to step.

    Args:
        states: recurrent states, in the bundle's order.
        memory: constant through the sequence.
        size: symbols in the target vocabulary.
        fed: whether the token chosen is fed back.
    """

    states: tuple[TensorSpec, ...]
    memory: tuple[TensorSpec, ...]
    size: int
    fed: bool

    @property
    def token(self) -> list[TensorSpec]:
        """The token that is fed, as a list of one, or an empty list where none is fed."""
        return [TensorSpec("token", "int64", (None,))] if self.fed else []

    def per_token(self, name: str) -> TensorSpec:
        """Return the spec of a number for each symbol of the vocabulary."""
        return TensorSpec(name, "float32", (self.size,))


def greedy_graph(
    decoder: WeightedModel,
    carried: Carried,
    passes: Passes | None = None,
    folds: Folds | None = None,
    choice: Choice = "greedy",
) -> WeightedModel:
    """Return the graph of greedy search, or of sampling, over up to `steps` tokens.

    Inputs: `steps` int64 (): most tokens to write. `mask` float32 (size,): added to the logits, -inf at tokens that
    never follow. `goes_on` float32 (size,): 0 at tokens that end a sequence, 1 at the others. `least` float32 (): stop
    once no more rows than this are live. `token` int64 (batch,): the last token of each row; only where tokens are fed
    back. `live` float32 (batch,): 0 at rows that have ended before, 1 at the others. `state.*`, `memory.*`. To draw:
    `temperature` float32 (), `numbers` float32 (steps, batch, 1), at random from 0 to below 1; among the likeliest:
    `candidates` int64 (1,), how many, `mass` float32 (), above 1 for all of these.

    Outputs: `tokens` int64 (steps taken, batch), rows that have ended written on like the others; `next_state.*`. With
    scores, and of draws: `token_scores` float32 (steps taken, batch).

    Args:
        decoder: the step graph, its passes applied; it is left as it is.
        carried: what it carries.
        passes: those wanted; default: all.
        folds: constants that were computed from others before, for other graphs.
        choice: how tokens are chosen.
    """
    passes, plain = passes or Passes(), choice == "greedy"
    editor = GraphEditor(decoder, folds).copy()
    once = passes.apply("memory_once", _take_constant, editor, carried) or []
    biased = passes.apply("mask_in_bias", _mask_bias, editor) if plain else None  # scores are those of all tokens
    masked, before = biased or (_mask_logits(editor), [])
    choose_token(editor, choice, masked, carried.size, fed=carried.fed)
    alone = editor.copy()
    (going,) = editor.add("Gather", ["goes_on", "tokens"])
    editor.add("Mul", ["live", going], ["next_live"])
    (left,) = editor.add("ReduceSum", ["next_live"], keepdims=0)
    editor.add("Greater", [left, "least"], ["more"])
    search = Search(
        name=choice,
        before=[*once, *before],
        inputs=[
            *(carried.per_token(name) for name in ("mask", "goes_on")),
            TensorSpec("least", "float32", ()),
            *READ[choice],
            *carried.memory,
        ],
        carried=[TensorSpec("live", "float32", (None,)), *carried.token, *carried.states],
        shown=carried.states,
        collected=[TensorSpec("tokens", "int64", (None,)), *(() if plain else (SCORES,))],
        going=TensorSpec("more", "bool", ()),
        first_axes={"numbers": "numbers"},
    )
    one_row = passes.apply("one_row", _for_one_row, alone, search)
    take_gates_apart(editor, passes)
    model = looped(editor, search, one_row)
    held = passes.apply("inner_constants", hold_constants, model) if plain else None  # each would hold them once more
    passes.apply("kernels_kept", keep_kernels, held or model)
    return held or model


def _for_one_row(editor: GraphEditor, search: Search) -> OneRow | None:
    """Return greedy search for a single row, where the loop ends when the row does; None where that is no gain."""
    if not group_gates(editor) and not any(node.op_type in BIAS_OF_8_BITS for node in editor.nodes):
        return None
    editor.add("Gather", ["ends_not", "tokens"], ["more"])
    before = [
        helper.make_node("ReduceSum", ["live"], ["live_row"], name="live_row", keepdims=1),  # of one row: its own
        helper.make_node("Mul", ["goes_on", "live_row"], ["stays_live"], name="stays_live"),
        helper.make_node("Greater", ["stays_live", "least"], ["ends_not"], name="ends_not"),
    ]
    return OneRow(
        editor, replace(search, before=before, carried=search.carried[1:], going=TensorSpec("more", "bool", (1,)))
    )


def beam_graph(
    decoder: WeightedModel, carried: Carried, passes: Passes | None = None, folds: Folds | None = None
) -> WeightedModel:
    """Return the graph of beam search over `steps` tokens; the host decides what has ended and what is best.

    Rows are beams, those of a sentence one after the other.

    Inputs: `steps` int64 (): tokens to write. `width` int64 (1,): beams of a sentence. `examined` int64 (1,): best
    extensions of each sentence to look at, at least `width` and at most `width` times the vocabulary. `mask` float32
    (size,): added to the log-probabilities, -inf at tokens that never follow. `ending` float32 (size,): -inf at tokens
    that end a sequence, 0 at the others. `scores` float32 (sentences, width): log-probability of each beam, -inf where
    there is none. `token` int64 (rows,), where tokens are fed back. `state.*`, `memory.*`.

    Outputs, the step as first axis: `candidate_scores`, `candidate_parents`, `candidate_tokens` (steps, sentences,
    examined), best first, of equal ones the first; `beam_scores`, `beam_parents`, `beam_tokens` (steps, sentences,
    width), the best of those that don't end. `next_scores`, `next_state.*`.

    Args:
        decoder: the step graph, its passes applied; it is left as it is.
        carried: what it carries.
        passes: those wanted; default: all.
        folds: constants that were computed from others before, for other graphs.
    """
    passes = passes or Passes()
    editor = GraphEditor(decoder, folds).copy()
    once = passes.apply("memory_once", _take_constant, editor, carried) or []
    _extend_beams(editor, carried.size)
    _keep_beams(editor, carried)
    editor.add("Identity", [GO], ["more"])
    take_gates_apart(editor, passes)
    per_sentence = TensorSpec("scores", "float32", (None, None))
    collected = [
        TensorSpec(f"{what}_{name}", dtype, (None, None))
        for what in ("candidate", "beam")
        for name, dtype in (("scores", "float32"), ("parents", "int64"), ("tokens", "int64"))
    ]
    search = Search(
        name="beam",
        before=[*once, *_beam_sizes(editor, carried.size)],
        inputs=[
            *(TensorSpec(name, "int64", (1,)) for name in ("width", "examined")),
            *(carried.per_token(name) for name in ("mask", "ending")),
            *carried.memory,
        ],
        carried=[per_sentence, *carried.token, *carried.states],
        shown=[per_sentence, *carried.states],
        collected=collected,
        going=TensorSpec("more", "bool", ()),
        first_axes={tensor.name: "sentences" for tensor in (per_sentence, *collected)},
    )
    model = looped(editor, search)
    passes.apply("kernels_kept", keep_kernels, model)
    return model


def _take_constant(editor: GraphEditor, carried: Carried) -> list[onnx.NodeProto]:
    """Take out the nodes that give the same at every step, and return them in an order in which they can run."""
    known = {"", *editor.constants, *(tensor.name for tensor in carried.memory)}
    once = []
    for node in editor.running(editor.outputs):
        if reads(node) <= known and not set(node.output).intersection(editor.outputs):
            known.update(node.output)
            once.append(node)
    editor.remove(once)
    return once


def _mask_logits(editor: GraphEditor) -> str:
    """Add the mask to the logits and return the name of the masked ones."""
    (masked,) = editor.add("Add", ["logits", "mask"])
    return masked


def _mask_bias(editor: GraphEditor) -> tuple[str, list[onnx.NodeProto]] | None:
    """Add the mask to the bias of the output layer, where there is one that nothing else reads.

    Returns:
        The masked logits, and the nodes that belong before the loop; None where there is no such bias.
    """
    tensor, node = "logits", _maker(editor, "logits")
    is_shared = any("logits" in reads(other) for other in editor.nodes)  # such as by the softmax that is fed back
    while node.op_type == "Identity" and not is_shared:
        tensor = node.input[0]
        node, is_shared = _maker(editor, tensor), not editor.is_read_once(tensor)
    place = BIAS_OF_8_BITS.get(node.op_type, len(node.input))
    if not is_shared and place < len(node.input) and node.input[place] in editor.constants:
        bias, node.input[place], node.output[0] = node.input[place], "masked_bias", editor.fresh("masked")
        return node.output[0], [helper.make_node("Add", [bias, "mask"], ["masked_bias"], name="masked_bias")]
    bias = [name for name in node.input if name in editor.constants and editor.constants[name].ndim == 1]
    products = [name for name in node.input if name not in editor.constants]
    is_biased = node.op_type == "Add" and len(bias) == len(products) == 1
    if not is_shared and is_biased and _is_rows_times_kernel(editor, products[0]):
        (masked,) = editor.add("Gemm", [*_maker(editor, products[0]).input, "masked_bias"])
        return masked, [helper.make_node("Add", [bias[0], "mask"], ["masked_bias"], name="masked_bias")]
    return None


def _maker(editor: GraphEditor, tensor: str) -> onnx.NodeProto:
    node = editor.producer(tensor)
    if node is None:
        raise ValueError(f"the step graph doesn't make {tensor!r}")
    return node


def _is_rows_times_kernel(editor: GraphEditor, tensor: str) -> bool:
    """Return whether a tensor is (batch, features) times a constant kernel, and read once."""
    node = editor.producer(tensor)
    if node is None or node.op_type != "MatMul" or not editor.is_read_once(tensor):
        return False
    kernel = editor.constants.get(node.input[1])
    return kernel is not None and kernel.ndim == 2 and editor.ranks().get(node.input[0]) == 2


def _beam_sizes(editor: GraphEditor, size: int) -> list[onnx.NodeProto]:
    """Return the nodes of shapes that stay the same: (rows, 1), (sentences, extensions), first row of each sentence."""
    one, free, vocabulary = editor.integers([1]), editor.integers([-1]), editor.integers([size])
    scalar_zero, scalar_one = editor.constant(np.array(0), "zero"), editor.constant(np.array(1), "one")
    nodes = (
        ("Concat", [free, one], "as_column", {"axis": 0}),
        ("Mul", ["width", vocabulary], "extensions", {}),
        ("Concat", [free, "extensions"], "per_sentence", {"axis": 0}),
        ("Shape", ["scores"], "beams", {}),
        ("Gather", ["beams", scalar_zero], "sentences", {}),
        ("Range", [scalar_zero, "sentences", scalar_one], "numbers", {}),
        ("Mul", ["numbers", "width"], "first_rows", {}),
        ("Unsqueeze", ["first_rows", one], "first_row", {}),
    )
    return [helper.make_node(kind, inputs, [name], name=name, **rest) for kind, inputs, name, rest in nodes]


def _extend_beams(editor: GraphEditor, size: int) -> None:
    """Add the choice of the best extensions of each sentence: score, beam that is extended, token."""
    (probabilities,) = editor.add("LogSoftmax", ["logits"], axis=1)
    (allowed,) = editor.add("Add", [probabilities, "mask"])
    (so_far,) = editor.add("Reshape", ["scores", "as_column"])
    (total,) = editor.add("Add", [allowed, so_far])
    (joined,) = editor.add("Reshape", [total, "per_sentence"])
    _, places = editor.add("TopK", [joined, "examined"], ["candidate_scores", "places"], axis=1, largest=1, sorted=1)
    vocabulary = editor.constant(np.array(size), "size")
    editor.add("Div", [places, vocabulary], ["candidate_parents"])
    editor.add("Mod", [places, vocabulary], ["candidate_tokens"])


def _keep_beams(editor: GraphEditor, carried: Carried) -> None:
    """Add the choice of the best extensions that don't end, and of the states of the beams they extend."""
    (ending,) = editor.add("Gather", ["ending", "candidate_tokens"])
    (alive,) = editor.add("Add", ["candidate_scores", ending])
    _, order = editor.add("TopK", [alive, "width"], ["beam_scores", "order"], axis=1, largest=1, sorted=1)
    for name in ("parents", "tokens"):
        editor.add("GatherElements", [f"candidate_{name}", order], [f"beam_{name}"], axis=1)
    editor.add("Identity", ["beam_scores"], ["next_scores"])
    free = editor.integers([-1])
    (rows,) = editor.add("Add", ["beam_parents", "first_row"])
    (rows,) = editor.add("Reshape", [rows, free])
    if carried.fed:
        editor.add("Reshape", ["beam_tokens", free], ["next_token"])
    for state in carried.states:
        editor.move(f"next_{state.name}", f"made_{state.name}")
        editor.add("Gather", [f"made_{state.name}", rows], [f"next_{state.name}"], axis=0)

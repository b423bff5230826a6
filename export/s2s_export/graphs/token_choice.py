"""How the steps of a search choose the next token of each row: the likeliest, the same with its score, or a draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from s2s_export.convert.graph_editor import GraphEditor
from s2s_runtime.bundle.manifest_file import TensorSpec
from s2s_runtime.search.step_model import Choice

_DRAWN: Final = (TensorSpec("temperature", "float32", ()), TensorSpec("numbers", "float32", (None, None, 1)))
_CUT: Final = (TensorSpec("candidates", "int64", (1,)), TensorSpec("mass", "float32", ()))
READ: Final[Mapping[Choice, Sequence[TensorSpec]]] = {
    "greedy": (),
    "greedy_scores": (),
    "sample": _DRAWN,
    "sample_top": (*_DRAWN, *_CUT),
}
"""What the graphs read beside what all read."""

_FEW: Final = 64
"""Of a wide vocabulary, how many likeliest tokens are sorted first."""

_WIDE: Final = 256
"""Symbols from which on that is quicker. At 8,000 a step sorts 17.4 ms (32 rows) or 0.49 (one), else 0.53 or 0.01."""

SCORES: Final = TensorSpec("token_scores", "float32", (None,))


def choose_token(editor: GraphEditor, choice: Choice, masked: str, size: int, *, fed: bool) -> None:
    """Add the nodes that make `tokens` int64 (rows,), and `next_token`, the same, where it is fed back.

    All choices but the plain one make `token_scores` float32 (rows,), the log-probability of each token, too.

    Args:
        editor: holds a step, which makes `logits`.
        choice: how to choose.
        masked: name of the logits with the mask added.
        size: symbols in the target vocabulary.
        fed: whether the token is fed back. A tensor can't be carried and collected under one name.
    """
    if choice == "greedy":
        (token,) = editor.add("ArgMax", [masked], ["tokens"], axis=1, keepdims=0)
        if fed:
            editor.add("Identity", [token], ["next_token"])
        return
    wide = choice == "sample_top" and size > _WIDE
    column = _drawn_of_many(editor, masked, size) if wide else _COLUMNS[choice](editor, masked)
    (logs,) = editor.add("LogSoftmax", ["logits"], axis=1)
    editor.add("GatherND", [logs, column], [SCORES.name], batch_dims=1)
    one = editor.integers([1])
    for name in ("tokens", "next_token") if fed else ("tokens",):
        editor.add("Squeeze", [column, one], [name])


def _likeliest(editor: GraphEditor, masked: str) -> str:
    """Add the choice of the likeliest tokens; return their name, int64 (rows, 1)."""
    return editor.add("ArgMax", [masked], axis=1, keepdims=1)[0]


def _drawn(editor: GraphEditor, masked: str) -> str:
    """Add a draw from the softmax of logits / temperature; return the name of the tokens, int64 (rows, 1).

    The cumulative distribution is inverted in the order of the vocabulary, as `s2s_runtime.search.sampling` does.
    """
    _, reached, whole = _distribution(editor, masked)
    return _place(editor, reached, whole)


def _drawn_among_likeliest(editor: GraphEditor, masked: str) -> str:
    """Add a draw among the `candidates` likeliest tokens, and of these those that reach `mass` of their probability.

    A token is left out where those before it reach the mass: what is left is the beginning of the list.
    """
    values, tokens = editor.add("TopK", [masked, "candidates"], 2, axis=1, largest=1, sorted=1)
    shares, reached, whole = _distribution(editor, values)
    return _drawn_of_sorted(editor, tokens, shares, reached, whole)


def _drawn_of_many(editor: GraphEditor, masked: str, size: int) -> str:
    """Add the same for a wide vocabulary, of which no more is sorted than the likeliest `_FEW` where these do.

    They do where they are all the candidates, or where all tokens are and in each row these reach the mass.
    """
    (scaled,) = editor.add("Div", [masked, "temperature"])
    (shares,) = editor.add("Softmax", [scaled], axis=1)
    some, last, axis = editor.integers([_FEW]), editor.integers([-1]), editor.constant(np.array(1), "one")
    (few,) = editor.add("Min", ["candidates", some])
    _, tokens = editor.add("TopK", [masked, few], 2, axis=1, largest=1, sorted=1)
    (sorted_shares,) = editor.add("GatherElements", [shares, tokens], axis=1)
    (reached,) = editor.add("CumSum", [sorted_shares, axis])
    (end,) = editor.add("Gather", [reached, last], axis=1)
    (are_all,) = editor.add("LessOrEqual", ["candidates", some])
    (whole,) = editor.add("Where", [are_all, end, editor.constant(np.ones((1, 1), np.float32), "all")])
    (bound,) = editor.add("Mul", [whole, "mass"])
    (beyond,) = editor.add("Sub", [end, bound])
    (least,) = editor.add("ReduceMin", [beyond], keepdims=0)
    (reach,) = editor.add("GreaterOrEqual", [least, editor.constant(np.float32(0).reshape(()), "zero")])
    (is_open,) = editor.add("GreaterOrEqual", ["candidates", editor.integers([size])])
    (are_open,) = editor.add("And", [is_open, reach])
    (do,) = editor.add("Or", [are_all, are_open])
    names = [editor.fresh(name) for name in ("kept_tokens", "kept_shares", "kept_reached", "kept_whole")]
    inner = [f"{name}.sorted" for name in names]
    nodes = [
        helper.make_node("TopK", [masked, "candidates"], [f"{inner[0]}.values", inner[0]], axis=1, largest=1, sorted=1),
        helper.make_node("GatherElements", [shares, inner[0]], [inner[1]], axis=1),
        helper.make_node("CumSum", [inner[1], axis], [inner[2]]),
        helper.make_node("Gather", [inner[2], last], [inner[3]], axis=1),
    ]
    held = [f"{name}.few" for name in names]
    copies = [
        helper.make_node("Identity", [name], [copy])
        for name, copy in zip((tokens, sorted_shares, reached, whole), held, strict=True)
    ]
    branches = {"then_branch": _branch(copies, held), "else_branch": _branch(nodes, inner)}
    return _drawn_of_sorted(editor, *editor.add("If", [do], names, **branches))


def _branch(nodes: Sequence[onnx.NodeProto], outputs: Sequence[str]) -> onnx.GraphProto:
    """Return a branch that makes tokens, and three numbers of each, for each row."""
    kinds = (TensorProto.INT64, *(TensorProto.FLOAT,) * (len(outputs) - 1))
    made = [helper.make_tensor_value_info(name, kind, [None, None]) for name, kind in zip(outputs, kinds, strict=True)]
    return helper.make_graph(nodes, "branch", [], made)


def _drawn_of_sorted(editor: GraphEditor, tokens: str, shares: str, reached: str, whole: str) -> str:
    """Add a draw among those sorted tokens that reach `mass` of the whole."""
    (before,) = editor.add("Sub", [reached, shares])
    (most,) = editor.add("Mul", [whole, "mass"])
    (is_left,) = editor.add("Less", [before, most])
    (left,) = editor.add("Where", [is_left, reached, editor.constant(np.float32(0).reshape(()), "zero")])
    (whole,) = editor.add("ReduceMax", [left, editor.integers([1])], keepdims=1)
    return editor.add("GatherElements", [tokens, _place(editor, reached, whole)], axis=1)[0]


def _distribution(editor: GraphEditor, logits: str) -> tuple[str, str, str]:
    """Return the names of the probabilities of tokens, what they reach one by one, and in all (rows, 1)."""
    (scaled,) = editor.add("Div", [logits, "temperature"])
    (shares,) = editor.add("Softmax", [scaled], axis=1)
    (reached,) = editor.add("CumSum", [shares, editor.constant(np.array(1), "one")])
    (whole,) = editor.add("Gather", [reached, editor.integers([-1])], axis=1)
    return shares, reached, whole


def _place(editor: GraphEditor, reached: str, whole: str) -> str:
    """Return the name of the first place of each row that reaches beyond a number times the whole."""
    (number,) = editor.add("Gather", ["numbers", "iteration"], axis=0)
    (bound,) = editor.add("Mul", [number, whole])
    (beyond,) = editor.add("Greater", [reached, bound])
    (flags,) = editor.add("Cast", [beyond], to=TensorProto.UINT8)
    return editor.add("ArgMax", [flags], axis=1, keepdims=1)[0]


_COLUMNS: Final[Mapping[Choice, Callable[[GraphEditor, str], str]]] = {
    "greedy_scores": _likeliest,
    "sample": _drawn,
    "sample_top": _drawn_among_likeliest,
}

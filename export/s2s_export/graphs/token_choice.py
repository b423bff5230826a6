"""How the steps of a search choose the next token of each row: the likeliest, the same with its score, or a draw."""

from __future__ import annotations

from typing import Final

import numpy as np
from onnx import TensorProto

from s2s_export.convert.graph_editor import GraphEditor
from s2s_runtime.bundle.manifest_file import TensorSpec
from s2s_runtime.search.step_model import Choice

DRAWN: Final = (TensorSpec("temperature", "float32", ()), TensorSpec("numbers", "float32", (None, None, 1)))
"""What a graph that draws reads beside what all read."""

SCORES: Final = TensorSpec("token_scores", "float32", (None,))


def choose_token(editor: GraphEditor, choice: Choice, masked: str, *, fed: bool) -> None:
    """Add the nodes that make `tokens` int64 (rows,), and `next_token`, the same, where it is fed back.

    All choices but the plain one make `token_scores` float32 (rows,), the log-probability of each token, too.

    Args:
        editor: holds a step, which makes `logits`.
        choice: how to choose.
        masked: name of the logits with the mask added.
        fed: whether the token is fed back. A tensor can't be carried and collected under one name.
    """
    if choice == "greedy":
        (token,) = editor.add("ArgMax", [masked], ["tokens"], axis=1, keepdims=0)
        if fed:
            editor.add("Identity", [token], ["next_token"])
        return
    column = _drawn(editor, masked) if choice == "sample" else editor.add("ArgMax", [masked], axis=1, keepdims=1)[0]
    (logs,) = editor.add("LogSoftmax", ["logits"], axis=1)
    editor.add("GatherND", [logs, column], [SCORES.name], batch_dims=1)
    one = editor.integers([1])
    for name in ("tokens", "next_token") if fed else ("tokens",):
        editor.add("Squeeze", [column, one], [name])


def _drawn(editor: GraphEditor, masked: str) -> str:
    """Add a draw from the softmax of logits / temperature; return the name of the tokens, int64 (rows, 1).

    The cumulative distribution is inverted in the order of the vocabulary, as `s2s_runtime.search.sampling` does.
    """
    (scaled,) = editor.add("Div", [masked, "temperature"])
    (shares,) = editor.add("Softmax", [scaled], axis=1)
    axis = editor.constant(np.array(1), "one")
    (reached,) = editor.add("CumSum", [shares, axis])
    (whole,) = editor.add("Gather", [reached, editor.integers([-1])], axis=1)
    (number,) = editor.add("Gather", ["numbers", "iteration"], axis=0)
    (bound,) = editor.add("Mul", [number, whole])
    (beyond,) = editor.add("Greater", [reached, bound])
    (flags,) = editor.add("Cast", [beyond], to=TensorProto.UINT8)
    return editor.add("ArgMax", [flags], axis=1, keepdims=1)[0]

"""JoeyNMT: the search and the recurrent modules of a translation toolkit."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from joeynmt.batch import Batch
from joeynmt.decoders import RecurrentDecoder
from joeynmt.embeddings import Embeddings
from joeynmt.encoders import RecurrentEncoder
from joeynmt.model import Model
from joeynmt.search import search
from torch import nn

from peers.interface import Ids, Problem
from peers.torch_layers import TorchPeer, copy_attention, copy_lstm
from peers.weights import AttentionWeights

_BEAM = (
    "JoeyNMT's beam goes on extending hypotheses that have ended, which takes places from others, and is over once "
    "each place has held one that ended"
)


class JoeyNmt(TorchPeer):
    """`joeynmt.search.search` on JoeyNMT's own modules, as its `translate` calls it once text has become numbers.

    `RecurrentEncoder` reads both ways, `RecurrentDecoder` with Luong attention and input feeding starts from zeros.
    Scores are log-probabilities without a length penalty (`beam_alpha` -1) and the end token may come at once
    (`min_output_length` 0), as it may in the other peers.
    """

    title = "JoeyNMT"

    def __init__(self) -> None:
        super().__init__()
        self.may_differ = {5: _BEAM}

    def versions(self) -> dict[str, str]:
        """Versions of JoeyNMT and PyTorch."""
        return {name: version(name) for name in ("joeynmt", "torch")}

    def load(self, folder: Path, threads: int | None) -> None:
        """Build the model and copy the weights."""
        self.limit_threads(threads)
        self._problem = Problem.read(folder)
        self._model = _build(AttentionWeights.read(folder), self._problem).eval()

    def decode(self, sources: Ids, steps: int) -> Ids:
        """See `Peer.decode`."""
        return self.beam_search(sources, steps, 1)

    def beam_search(self, sources: Ids, steps: int, beam_size: int) -> Ids:
        """See `BeamPeer.beam_search`."""
        ids = torch.from_numpy(sources)
        batch = Batch(
            src=ids,
            src_length=(ids != self._problem.padding_id).sum(dim=1),
            src_prompt_mask=None,
            trg=None,
            trg_prompt_mask=None,
            indices=torch.arange(len(ids)),
            device=torch.device("cpu"),
            pad_index=self._problem.padding_id,
            eos_index=self._problem.end_id,
            is_train=False,
        )
        tokens, _, _ = search(self._model, batch, steps, beam_size, beam_alpha=-1, min_output_length=0)
        return tokens


def _build(weights: AttentionWeights, problem: Problem) -> Model:
    units, embedding = weights.units, weights.source_embedding.shape[1]
    encoder = RecurrentEncoder("lstm", units // 2, embedding, len(weights.encoder), bidirectional=True)
    decoder = RecurrentDecoder(
        rnn_type="lstm",
        emb_size=embedding,
        hidden_size=units,
        encoder=encoder,
        attention="luong",
        num_layers=len(weights.decoder),
        vocab_size=len(weights.target_embedding),
        init_hidden="zero",
        input_feeding=True,
    )
    copy_lstm(encoder.rnn, weights.encoder)
    copy_lstm(decoder.rnn, [(lstm,) for lstm in weights.decoder])
    keys, attentional, dense = copy_attention(weights, context_first=False)
    decoder.attention.key_layer, decoder.att_vector_layer, decoder.output_layer = keys, attentional, dense
    sides = [_embeddings(table, problem) for table in (weights.source_embedding, weights.target_embedding)]
    vocabulary = SimpleNamespace(  # what a model asks of one
        pad_index=problem.padding_id,
        bos_index=problem.start_id,
        eos_index=problem.end_id,
        unk_index=1,
        sep_index=None,
        specials=[],
        lang_tags=[],
    )
    return Model(encoder, decoder, *sides, vocabulary, vocabulary)


def _embeddings(table: np.ndarray, problem: Problem) -> Embeddings:
    layer = Embeddings(table.shape[1], vocab_size=len(table), padding_idx=problem.padding_id)
    layer.lut = nn.Embedding.from_pretrained(torch.from_numpy(table), padding_idx=problem.padding_id)
    return layer


def make_peer() -> JoeyNmt:
    """Return the peer of this file."""
    return JoeyNmt()

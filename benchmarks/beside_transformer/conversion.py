"""The small Transformer as CTranslate2 runs it, by CTranslate2's own specification, and whether it says the same.

`python -m beside_transformer.conversion FOLDER WORDS.txt`, in the environment `transformer`: writes FOLDER/float32 and
FOLDER/int8, and compares the first with PyTorch on the words.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import ctranslate2
import torch
from ctranslate2.specs import TransformerSpec
from torch import nn

from beside_transformer.small_transformer import END, LONGEST, START, SmallTransformer, Symbols, padded, restore

SCORE_TOLERANCE: Final = 1e-3
NEAR_TIE: Final = 1e-4
MOST_PHONES: Final = LONGEST - 1


def convert(model: SmallTransformer, symbols: Symbols, folder: Path, quantization: str | None = None) -> None:
    """Write a model of CTranslate2.

    Args:
        model: to convert.
        symbols: its vocabularies.
        folder: to write; what was there is replaced.
        quantization: "int8", or None for float32.
    """
    shape = model.shape
    spec = TransformerSpec.from_config((shape.encoder_layers, shape.decoder_layers), shape.heads)
    spec.encoder.embeddings[0].weight = _array(model.source.weight)
    spec.decoder.embeddings.weight = spec.decoder.projection.weight = _array(model.target.weight)
    for side, layers in ((spec.encoder, model.layers.encoder), (spec.decoder, model.layers.decoder)):
        side.position_encodings.encodings = _array(model.positions)
        _set_norm(side.layer_norm, layers.norm)
        for layer, given in zip(side.layer, layers.layers, strict=True):
            _set_attention(layer.self_attention, given.self_attn, given.norm1)
            if side is spec.decoder:
                _set_attention(layer.attention, given.multihead_attn, given.norm2)
            _set_norm(layer.ffn.layer_norm, given.norm3 if side is spec.decoder else given.norm2)
            _set_linear(layer.ffn.linear_0, given.linear1.weight, given.linear1.bias)
            _set_linear(layer.ffn.linear_1, given.linear2.weight, given.linear2.bias)
    spec.register_source_vocabulary(list(symbols.source))
    spec.register_target_vocabulary(list(symbols.target))
    spec.config.add_source_eos = True
    spec.config.layer_norm_epsilon = model.layers.encoder.norm.eps
    spec.validate()
    spec.optimize(quantization=quantization)
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))


def _array(weights: torch.Tensor) -> Any:
    return weights.detach().numpy().copy()  # what makes 8 bits of them writes into what it is given


def _set_norm(spec: Any, norm: nn.LayerNorm) -> None:
    spec.gamma, spec.beta = _array(norm.weight), _array(norm.bias)


def _set_linear(spec: Any, weight: torch.Tensor, bias: torch.Tensor) -> None:
    spec.weight, spec.bias = _array(weight), _array(bias)


def _set_attention(spec: Any, attention: nn.MultiheadAttention, norm: nn.LayerNorm) -> None:
    """Copy an attention: CTranslate2 keeps all that is multiplied with the same input in one matrix."""
    _set_norm(spec.layer_norm, norm)
    *inputs, output = spec.linear
    width = attention.embed_dim
    cut = [3 * width] if len(inputs) == 1 else [width, 2 * width]
    weights, biases = attention.in_proj_weight.split(cut), attention.in_proj_bias.split(cut)
    for linear, weight, bias in zip(inputs, weights, biases, strict=True):
        _set_linear(linear, weight, bias)
    _set_linear(output, attention.out_proj.weight, attention.out_proj.bias)


@torch.inference_mode()
def greedy_tokens(
    model: SmallTransformer, symbols: Symbols, words: Sequence[str]
) -> tuple[list[list[str]], list[bool]]:
    """Return what PyTorch writes, re-fed with its own growing prefix, and whether two symbols ever came near a tie."""
    source = padded(symbols.encode(words))
    memory, target = model.encode(source), torch.full((len(words), 1), START)
    ended, near = torch.zeros(len(words), dtype=torch.bool), torch.zeros(len(words), dtype=torch.bool)
    while not ended.all() and target.shape[1] <= MOST_PHONES:
        logits = model.decode(memory, source, target)[:, -1]
        best = logits.topk(2)
        near |= ~ended & (best.values[:, 0] - best.values[:, 1] < NEAR_TIE)
        target = torch.cat([target, best.indices[:, :1]], dim=1)
        ended |= best.indices[:, 0] == END
    rows = [row[: row.index(END)] if END in row else row for row in target[:, 1:].tolist()]
    return [[symbols.target[token] for token in row] for row in rows], near.tolist()


@torch.inference_mode()
def log_probability(model: SmallTransformer, symbols: Symbols, word: str, phones: Sequence[str]) -> float:
    """Return the log-probability that PyTorch gives to phones, and to the end token after those that aren't cut off."""
    source, target = padded(symbols.encode([word])), padded(symbols.encode_targets([" ".join(phones)]))
    if len(phones) == MOST_PHONES:
        target = target[:, :-1]
    logits = model(source, target[:, :-1]).log_softmax(dim=-1)
    return logits.gather(2, target[:, 1:, None]).sum().item()


def compare(model: SmallTransformer, symbols: Symbols, folder: Path, words: Sequence[str]) -> dict[str, int]:
    """Compare a converted model with PyTorch, and return how many words were compared and how many were near ties.

    Greedy search has to give the same symbols; what a beam of 5 finds has to have the score that PyTorch gives it.

    Raises:
        ValueError: they differ; the message says in which word.
    """
    translator = ctranslate2.Translator(str(folder), compute_type="float32")
    sources = [list(word) for word in words]
    lengths = {
        "min_decoding_length": 0,
        "max_decoding_length": MOST_PHONES,
    }  # 1: the end is left out of the first softmax
    greedy = translator.translate_batch(sources, beam_size=1, **lengths)
    expected, near = greedy_tokens(model, symbols, words)
    for word, found, right, is_tie in zip(words, greedy, expected, near, strict=True):
        if found.hypotheses[0] != right and not is_tie:
            raise ValueError(f"{word}: CTranslate2 says {' '.join(found.hypotheses[0])}, PyTorch {' '.join(right)}")
    beams = translator.translate_batch(sources, beam_size=5, return_scores=True, length_penalty=0, **lengths)
    for word, found in zip(words, beams, strict=True):
        score = log_probability(model, symbols, word, found.hypotheses[0])
        if abs(score - found.scores[0]) > SCORE_TOLERANCE:
            raise ValueError(f"{word}: the score is {found.scores[0]:.5f} in CTranslate2, {score:.5f} in PyTorch")
    return {"words": len(words), "near_ties": sum(near)}


def main() -> None:
    """Read the command line, convert, compare, and print what was compared."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("words", type=Path)
    arguments = parser.parse_args()
    model, symbols = restore(arguments.folder)
    convert(model, symbols, arguments.folder / "float32")
    convert(model, symbols, arguments.folder / "int8", "int8")
    words = arguments.words.read_text(encoding="utf-8").split()
    compared = compare(model, symbols, arguments.folder / "float32", words)
    parameters = sum(weights.numel() for weights in model.parameters())
    print(json.dumps({"parameters": parameters, "compared": compared, "torch": torch.__version__}))


if __name__ == "__main__":
    main()

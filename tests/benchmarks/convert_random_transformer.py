"""Converts a Transformer of random weights for CTranslate2, and fails where it doesn't say what PyTorch says.

Run by `test_beside_transformer.py`, with the interpreter of an environment that has both and no pytest.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import ctranslate2
import torch
from beside_transformer.conversion import compare, convert
from beside_transformer.small_transformer import Shape, SmallTransformer, Symbols, restore, save

WORDS = ["abc", "fed", "a", "facade", "deaf"]


def main(folder: Path) -> None:
    """The same tokens greedily, the same scores with a beam; 8 bits run; and a difference would be seen."""
    torch.manual_seed(1)
    symbols = Symbols.of([("abc", "A B C"), ("def", "D E F")])
    model = SmallTransformer(Shape(32, 64, 4, 2, 1, 0.0), len(symbols.source), len(symbols.target)).eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights.normal_(std=0.3)
    save(folder / "saved", model, symbols, {})
    convert(model, symbols, folder / "float32")
    convert(model, symbols, folder / "int8", "int8")
    for one in (model, restore(folder / "saved")[0]):  # converting leaves the weights as they were
        assert compare(one, symbols, folder / "float32", WORDS)["words"] == len(WORDS)
    translator = ctranslate2.Translator(str(folder / "int8"), compute_type="int8")
    assert len(translator.translate_batch([list(word) for word in WORDS], max_decoding_length=8)) == len(WORDS)
    with torch.no_grad():
        model.layers.decoder.layers[0].linear2.weight.mul_(-1)
    try:
        compare(model, symbols, folder / "float32", WORDS)
    except ValueError:
        return
    raise AssertionError("other weights made no difference")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(Path(made))

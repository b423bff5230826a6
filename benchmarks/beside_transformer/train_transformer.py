"""Trains a small Transformer on pairs for a number of minutes.

`python -m beside_transformer.train_transformer PAIRS.tsv OUTPUT --minutes 20`, in the environment `transformer`. What
is usual for models of characters (Wu, Cotterell and Hulden 2021), but smaller, so that it learns enough within the
minutes of a recurrent model: Adam, a warm-up, a cosine that ends with the minutes, smoothed labels, averaged weights.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import nn

from beside_transformer.small_transformer import PAD, Ids, Shape, SmallTransformer, Symbols, padded, save

BATCH: Final = 128
PEAK_RATE: Final = 0.002
WARM_UP: Final = 200  # steps


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """Return the lines of a TSV file: source, tab, target."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(source, target) for source, target in (line.split("\t") for line in lines)]


def batches(pairs: Sequence[tuple[Ids, Ids]], size: int, rng: random.Random) -> Iterator[list[tuple[Ids, Ids]]]:
    """Yield all pairs once, in random batches of pairs about as long as one another."""
    order = list(pairs)
    rng.shuffle(order)
    pool = 50 * size
    for start in range(0, len(order), pool):
        near = sorted(order[start : start + pool], key=lambda pair: (len(pair[0]), len(pair[1])))
        cut = [near[first : first + size] for first in range(0, len(near), size)]
        rng.shuffle(cut)
        yield from cut


def learning_rate(step: int, progress: float, peak: float, warm_up: int) -> float:
    """Return the rate of a step: a line up to the peak, then a cosine down to zero as the progress comes to 1."""
    return peak * min(1.0, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def train(model: SmallTransformer, pairs: Sequence[tuple[Ids, Ids]], minutes: float, seed: int) -> dict[str, float]:
    """Train for some minutes, leave the averaged weights in the model, and return how far it came."""
    rng = random.Random(seed)
    optimizer = torch.optim.Adam(model.parameters(), betas=(0.9, 0.98), eps=1e-9, fused=True)
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995))
    loss_of = nn.CrossEntropyLoss(ignore_index=PAD, label_smoothing=0.1)
    started, step, seen, losses = time.monotonic(), 0, 0, []
    model.train()
    while (progress := (time.monotonic() - started) / (60 * minutes)) < 1:
        for batch in batches(pairs, BATCH, rng):
            progress = (time.monotonic() - started) / (60 * minutes)
            if progress >= 1:
                break
            source, target = padded([pair[0] for pair in batch]), padded([pair[1] for pair in batch])
            logits = model(source, target[:, :-1])
            loss = loss_of(logits.flatten(0, 1), target[:, 1:].flatten())
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, progress, PEAK_RATE, WARM_UP)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            average.update_parameters(model)
            step, seen = step + 1, seen + len(batch)
            losses.append(loss.item())
            if step % 100 == 0:
                print(f"step {step}, {progress:.0%}, loss {np.mean(losses[-100:]):.3f}", flush=True)
    model.load_state_dict(average.module.state_dict())
    return {"epochs": seen / len(pairs), "steps": step}


def main() -> None:
    """Read the command line, train, and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    pairs = read_pairs(arguments.pairs)
    symbols = Symbols.of(pairs)
    words, texts = zip(*pairs, strict=True)
    model = SmallTransformer(Shape(), len(symbols.source), len(symbols.target))
    numbered = list(zip(symbols.encode(words), symbols.encode_targets(texts), strict=True))
    facts = train(model, numbered, arguments.minutes, arguments.seed)
    save(arguments.output, model, symbols, facts)


if __name__ == "__main__":
    main()

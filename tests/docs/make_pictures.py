"""Draws the guide's pictures with the commands themselves: `make pictures`.

A small model learns, in a minute or two, to write English sentences in capitals: its attention is then a diagonal, as
anyone can check. The picture of a sweep is that model's. A recogniser learns letters from noise by CTC, and a tagger
the tags of a few words. `--only NAME` draws one of them.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

IMAGES = Path(__file__).parents[2] / "docs" / "images"
BIN = Path(sys.executable).parent
SENTENCE = "would you like to have a cup of tea now?"
WORDS = [
    *SENTENCE.split(),
    *("we", "they", "the", "house", "is", "on", "river", "my", "friend", "has", "been", "here", "for", "long", "time"),
    *("and", "it", "was", "good", "that", "she", "came", "when", "he", "saw", "us", "in", "old", "town", "some"),
]
PAIRS = 4000
SPOKEN = "a cup of tea"
TAGGED = {
    **dict.fromkeys(("the", "a"), "DET"),
    **dict.fromkeys(("dog", "park", "child"), "NOUN"),
    **dict.fromkeys(("saw", "ran"), "VERB"),
    **dict.fromkeys(("in", "to"), "ADP"),
}


def write_pairs(path: Path) -> None:
    """Write sentences of up to 40 characters, the one of the picture left out, and the same in capitals."""
    generator = random.Random(0)
    found: dict[str, None] = {}
    while len(found) < PAIRS:
        sentence = " ".join(generator.choices(WORDS, k=generator.randint(2, 9)))
        if len(sentence) <= len(SENTENCE) and sentence != SENTENCE:
            found[sentence] = None
    path.write_text("".join(f"{sentence}\t{sentence.upper()}\n" for sentence in found), encoding="utf-8")


def run(command: str, *arguments: str | Path) -> None:
    """Run a command of the project."""
    subprocess.run([BIN / command, *arguments], check=True)


def draw_attention() -> None:
    """Train, export, draw the attention map and the sweep."""
    with tempfile.TemporaryDirectory() as folder:
        pairs, trained = Path(folder, "pairs.tsv"), Path(folder, "run")
        write_pairs(pairs)
        model = ("--bidirectional", "--attention", "dot", "--cell", "gru", "--units", "96", "--epochs", "6")
        run("s2s-train", pairs, *model, "--output", trained)
        run("s2s-export", trained / "model.keras")
        bundle = trained / "model.s2s"
        run("s2s-plot", "attention", bundle, SENTENCE, "--output", IMAGES / "attention.png")
        swept = ("--threads", "1", "--batch-size", "1,4,16,64", "--beam-size", "1,2,5")
        run("s2s-bench", bundle, *swept, "--plot", IMAGES / "sweep.png")


def draw_alignment() -> None:
    """Train a recogniser on letters of two to four frames with noise between, and draw what says "a cup of tea"."""
    import keras
    from keras import layers

    import s2s_export

    keras.utils.set_random_seed(1)
    rng, letters, frames = np.random.default_rng(0), sorted(set(SPOKEN)), 64
    shapes = rng.normal(size=(len(letters), 8))

    def spoken(text: str) -> np.ndarray:
        parts = [np.zeros((2, 8))]
        for letter in text:
            parts += [np.repeat(shapes[letters.index(letter)][None], rng.integers(2, 5), axis=0)]
            parts += [np.zeros((rng.integers(1, 3), 8))]
        sound = np.concatenate(parts)
        return np.pad(sound, [(0, frames - len(sound)), (0, 0)]) + 0.3 * rng.normal(size=(frames, 8))

    texts = ["".join(rng.choice(letters, rng.integers(4, 11))) for _ in range(2000)]
    sounds = np.stack([spoken(text) for text in texts]).astype(np.float32)
    targets = np.array([[letters.index(letter) + 1 for letter in text] + [0] * (10 - len(text)) for text in texts])
    model = keras.Sequential(
        [
            layers.Input((frames, 8)),
            layers.Conv1D(32, 5, padding="same", activation="relu"),
            layers.Bidirectional(layers.GRU(24, return_sequences=True)),
            layers.Dense(len(letters) + 1),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), keras.losses.CTC())
    model.fit(sounds, targets, batch_size=64, epochs=8, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        bundle, sound = Path(folder, "speech.s2s"), Path(folder, "sound.npy")
        s2s_export.export(model, bundle, ctc="first", target={letter: i for i, letter in enumerate(letters)})
        np.save(sound, spoken(SPOKEN).astype(np.float32))
        run("s2s-plot", "alignment", bundle, sound, "--output", IMAGES / "alignment.png")


def draw_tags() -> None:
    """Train a tagger of a few words, and draw the tags of a sentence."""
    import keras
    from keras import layers

    import s2s_export

    keras.utils.set_random_seed(1)
    words = ["<pad>", *TAGGED]
    tags = ["<pad>", *dict.fromkeys(TAGGED.values())]
    of = np.array([0, *(tags.index(tag) for tag in TAGGED.values())])
    model = keras.Sequential(
        [
            layers.Input((None,), dtype="int32"),
            layers.Embedding(len(words), 8, mask_zero=True),
            layers.Bidirectional(layers.LSTM(8, return_sequences=True)),
            layers.Dense(len(tags), activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy")
    sentences = np.random.default_rng(0).integers(1, len(words), (256, 6))
    model.fit(sentences, of[sentences], epochs=10, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder, "tagger.s2s")
        s2s_export.export(model, bundle, source=words, target=tags, unit="word")
        run("s2s-plot", "tags", bundle, "the dog saw a child in the park", "--output", IMAGES / "tags.png")


DRAWN = {"attention": draw_attention, "alignment": draw_alignment, "tags": draw_tags}


def main() -> None:
    """Draw what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=DRAWN)
    only = parser.parse_args().only
    for name in [only] if only else DRAWN:
        DRAWN[name]()


if __name__ == "__main__":
    main()

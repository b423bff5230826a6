"""Pronounces words with the PyPI package g2p_en: a word per line of stdin, its phones per line of stdout.

Only its network is asked (`predict`, a GRU encoder-decoder in numpy), never the dictionary it looks words up in first,
where every test word stands.
"""

import sys
from types import SimpleNamespace

import nltk

nltk.download = lambda *_: False  # importing g2p_en would fetch a tagger and the dictionary: whole sentences need them

from g2p_en import g2p  # noqa: E402

g2p.cmudict = SimpleNamespace(dict=dict)


def main() -> None:
    """Read words, write phones."""
    network = g2p.G2p()
    for line in sys.stdin:
        print(" ".join(network.predict(line.strip())))


if __name__ == "__main__":
    main()

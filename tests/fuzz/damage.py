"""Damage to the bytes of a file, as a list of edits that can be read and made again."""

from __future__ import annotations

from random import Random

Edit = list[int | str]
"""What is done, where, and with how many bytes or to which value."""


def draw_edits(content: bytes, random: Random, tail: int = 700) -> list[Edit]:
    """Draw one to four edits; half of them near the end, where archives keep their directory."""
    edits: list[Edit] = []
    for _ in range(random.randrange(1, 5)):
        place = random.randrange(len(content))
        if tail and random.random() < 0.5:
            place = max(0, len(content) - random.randrange(1, tail))
        kind = random.choice(["set", "set", "set", "cut", "double", "zero", "end", "swap"])
        edits.append([kind, place, random.randrange(256) if kind == "set" else random.randrange(1, 200)])
    return edits


def edited(content: bytes, edits: list[Edit]) -> bytes:
    """Make the edits."""
    damaged = bytearray(content)
    for kind, place, number in edits:
        at, many = min(int(place), max(0, len(damaged) - 1)), int(number)
        if kind == "set":
            damaged[at : at + 1] = bytes([many])
        elif kind == "cut":
            del damaged[at : at + many]
        elif kind == "double":
            damaged[at:at] = damaged[at : at + many]
        elif kind == "zero":
            damaged[at : at + many] = bytes(len(damaged[at : at + many]))
        elif kind == "end":
            del damaged[max(at, 1) :]
        else:
            damaged[at : at + 2 * many] = damaged[at + many : at + 2 * many] + damaged[at : at + many]
    return bytes(damaged)

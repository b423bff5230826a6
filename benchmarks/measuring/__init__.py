"""How the peers are timed: cases, visits in turn, environments, a quiet machine."""

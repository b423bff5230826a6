"""Beams whose sequences differ: groups that keep away from one another, and draws without replacement."""

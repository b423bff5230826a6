"""What s2s-inspect shows of a bundle."""

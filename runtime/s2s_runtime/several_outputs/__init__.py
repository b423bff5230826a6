"""Models of one pass that give several outputs: those beside the first, each with a vocabulary of its own."""

"""Models to which nothing is fed back: read as one graph, in which any layer may stand."""

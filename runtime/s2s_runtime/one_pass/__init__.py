"""Models of one pass: nothing is fed back, so that one run of one graph gives the outputs of all positions."""

"""Models that their author steps by hand, taken as one model: pairs of inference models, and pairs of functions."""

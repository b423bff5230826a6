"""Evidence: how a model was fed, found in the pairs it was trained on and in outputs of its author's own loop."""

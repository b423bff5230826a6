"""Language models: a text as streams of ids, and a model that carries its states from window to window."""

"""Language models: decoders without a source, which write on from a prompt."""

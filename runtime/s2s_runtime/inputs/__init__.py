"""Making padded batches of what callers give."""

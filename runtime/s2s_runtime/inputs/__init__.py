"""What callers give, made into padded batches."""

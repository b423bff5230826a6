"""What a call does: batches to results, streams, files, scores, values."""

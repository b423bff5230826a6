"""The work of each verb of a model: results of batches, streams, files, scores and values."""

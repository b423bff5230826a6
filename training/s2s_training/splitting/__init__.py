"""Takes a training model apart into an encoder and a single-step decoder.

`graph` reads a Keras model as a flat list of calls, `partition` says which of them belong to the decoder, `step` calls
each of those for one target step, and `assemble` puts the two models together; `splitter` is the way through.
`unrolled` and `split_unrolled` do the same for models that were saved with their loop written out.
"""

from s2s_training.splitting.splitter import SplitModel, split

__all__ = ["SplitModel", "split"]

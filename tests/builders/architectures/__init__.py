"""Encoder-decoders as notebooks build them, one function each, a module for each family.

Every function returns a Keras model; its name and docstring are the row it gets in the table of what is supported.
Small sizes, ordinary layers, no help from this project: the exporter has to find out by itself. A new one goes into
its family's module and that module's MODELS; the tests and the table take it from there.
"""

from architectures import (
    attention,
    bidirectional,
    bridges,
    continuous,
    convolutional,
    embeddings_and_heads,
    fed,
    inputs,
    nested,
    own_cells,
    prefixes,
    recurrent,
    sources,
    stacks,
    time_distributed,
    trained,
    unrolled,
)

FAMILIES = (
    recurrent,
    own_cells,
    bidirectional,
    stacks,
    bridges,
    embeddings_and_heads,
    time_distributed,
    inputs,
    sources,
    nested,
    attention,
    unrolled,
    continuous,
    fed,
    convolutional,
    prefixes,
    trained,
)
ARCHITECTURES = {build.__name__: build for family in FAMILIES for build in family.MODELS}

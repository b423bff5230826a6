"""The bundle's graphs: encoder, decoder and whole searches."""

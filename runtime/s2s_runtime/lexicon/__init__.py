"""What sources are to become without a model: dictionaries, in the formats in which people have them."""

"""What outputs have to be, or had better be: rules of the next token, lists of outputs, phrases and their weights."""

"""Language models that count in the search of another model (shallow fusion), or put what it found in order."""

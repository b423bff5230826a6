"""Error rates, BLEU and chrF of a bundle on pairs."""

"""What s2s-evaluate shows beyond rates: a page of errors, and how sure a difference between two systems is."""

"""Layer 7: data set, card, Croissant, PROV."""

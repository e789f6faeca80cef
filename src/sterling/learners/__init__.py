"""Layer 2: the model the data is for; siblings apart."""

"""Layer 2: what a record is; siblings apart."""

"""Layer 4: files, split, store."""

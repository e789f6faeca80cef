"""Sterling: what your synthetic data is worth in real rows, and the mix that works."""

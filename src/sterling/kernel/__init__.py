"""Layer 0: types and seams that every room speaks; standard library at import, no I/O, no clock."""

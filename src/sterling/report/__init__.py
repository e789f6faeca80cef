"""Layer 7: one self-contained HTML file."""

"""Layer 3: moves data and labels; one public thing a file."""

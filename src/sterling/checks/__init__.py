"""Layer 3: judges single records; one public thing a file."""

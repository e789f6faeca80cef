"""Layer 3: makes synthetic records; one public thing a file."""

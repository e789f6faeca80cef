"""Layer 3: planted faults for drills; one public thing a file."""

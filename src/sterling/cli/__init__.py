"""Layer 9: the command line, the only room that writes to the terminal."""

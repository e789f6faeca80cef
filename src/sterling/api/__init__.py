"""Layer 8: the library's front: files or frames in, `Result` out. Resolves registry names for the rooms below."""

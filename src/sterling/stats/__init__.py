"""Layer 1: pure mathematics on arrays; returns Estimate, Unmeasured or arrays."""

"""Layer 7: policy, rules, gate."""

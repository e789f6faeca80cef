"""Layer 5: shards and executors, ledger, panel."""

"""The contract: bytes and words that gateway and aggregator must agree on, nothing else."""

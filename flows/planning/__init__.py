"""The plan of a run: everything that can be known, and everything that can fail, before the first forward pass."""

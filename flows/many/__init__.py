"""Many scenes: batches, a watched folder, and how it stands with each of them."""

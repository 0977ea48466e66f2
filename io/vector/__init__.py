"""Vector files out and in."""

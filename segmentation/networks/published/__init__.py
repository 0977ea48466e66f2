"""Weights that were published for networks of this registry, and how they get into them."""

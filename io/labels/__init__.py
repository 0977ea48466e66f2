"""Labels and reference points on the grid of a scene or map."""

"""`segflow vectorize` and the vector stage of a run: finished rasters to vector files."""

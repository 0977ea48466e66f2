"""GDAL's and Zarr's world: scenes in; canvas, rasters, vectors and reports out."""

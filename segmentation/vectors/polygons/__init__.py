"""Class rasters to polygons: boundaries traced block by block, joined, simplified and measured."""

"""The minimum mapping unit: regions that are too small go to their neighbours."""

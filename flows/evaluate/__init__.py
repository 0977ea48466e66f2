"""`segflow evaluate` and `sample`: how good a map is."""

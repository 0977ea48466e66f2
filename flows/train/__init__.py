"""`segflow train` and `monitor`: labelled scenes to one model file."""

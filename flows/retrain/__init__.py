"""`segflow retrain` and `shelf`: a new model takes the place of the old one only if it is better."""

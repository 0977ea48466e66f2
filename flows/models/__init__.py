"""`segflow model`: models found by name, described, imported and exported."""

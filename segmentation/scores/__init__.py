"""How good a map is: scores, their intervals, and confidence that means what it says."""

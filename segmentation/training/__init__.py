"""Training: chips, losses, schedules and the loop; what it needs besides a network."""

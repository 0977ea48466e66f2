"""What bands are called, and what that means: words, numbers of sensors, places in a stack."""

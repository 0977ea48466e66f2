"""`segflow demo` and `doctor`: the first commands on a new machine."""

"""`segflow run`, `plan` and `verify`: the stages from a scene to its finished products."""

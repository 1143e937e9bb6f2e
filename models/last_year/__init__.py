"""The target of the period before, once more."""

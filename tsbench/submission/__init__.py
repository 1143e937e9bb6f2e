"""Submissions: a Result packed with its forecasts and its model's card, and the check that recomputes it."""

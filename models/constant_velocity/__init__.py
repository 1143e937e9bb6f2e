"""Constant velocity: the last step, taken again and again."""

"""Naive 2: the last value after seasonal adjustment."""

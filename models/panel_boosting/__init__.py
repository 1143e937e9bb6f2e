"""Boosted trees on features of a panel's samples."""

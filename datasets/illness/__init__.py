"""Influenza-like illness in the United States, weekly."""

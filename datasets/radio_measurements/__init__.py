"""Measured signal strength of the user's own, with buildings and antennas where they are known."""

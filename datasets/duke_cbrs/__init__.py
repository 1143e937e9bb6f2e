"""Measured signal strength on a campus, as rasters with held-out blocks."""

"""Electricity consumption of 321 clients in Portugal."""

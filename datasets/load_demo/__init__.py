"""Embedded generator of hourly electricity load, temperature and price."""

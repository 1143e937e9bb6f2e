"""Hourly energy of 5G base stations: the tables of the ITU challenge, or generated ones of their form."""

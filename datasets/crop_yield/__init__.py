"""Crop yield by county and year with weekly weather: a generator, and a reader of the Khaki format."""

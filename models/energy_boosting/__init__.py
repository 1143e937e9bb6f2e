"""Boosted trees on a station's cells and the hour, which do not know the station."""

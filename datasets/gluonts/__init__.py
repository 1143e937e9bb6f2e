"""Data sets in the formats of GluonTS."""

"""The M4 competition: 100,000 series in six groups."""

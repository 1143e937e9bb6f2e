"""VITA: weather that a yield record lacks is learned elsewhere, and filled in where yields are forecast."""

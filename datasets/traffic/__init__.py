"""Road occupancy at 862 sensors in the San Francisco Bay area."""

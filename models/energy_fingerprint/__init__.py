"""Energy fingerprint: the energy of a base station from its cells, and from which station it is."""

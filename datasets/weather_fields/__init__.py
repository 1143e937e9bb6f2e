"""Weather of an imaginary planet: a moist shallow-water model on the sphere."""

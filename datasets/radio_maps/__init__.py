"""Radio maps over made cities: scenes, ray tracing with Sionna RT, and formulas of the same form."""

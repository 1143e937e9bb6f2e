"""Weather station in Jena, 2020, every ten minutes."""

"""Buildings: drawn as a city, or read from a map extract; as rasters and as meshes."""

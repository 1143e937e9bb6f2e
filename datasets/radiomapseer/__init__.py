"""Radio maps of RadioMapSeer, read from a folder of the user's."""

"""Areas of Geo2SigMap, read from a folder of the user's."""

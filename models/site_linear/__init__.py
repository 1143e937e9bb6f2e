"""A straight line of each station: its energy by the load of its cells."""

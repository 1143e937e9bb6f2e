"""Tables of sensors of the user's own: time, sensor, position, value."""

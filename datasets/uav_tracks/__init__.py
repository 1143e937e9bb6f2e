"""Tracks of multirotor drones: simulated flights, random flights at 10 Hz, recorded racing flights."""

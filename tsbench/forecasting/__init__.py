"""Forecasts of a user's own file: fit, calibrate, compare, write. Built on jobs; no leaderboard reads it."""

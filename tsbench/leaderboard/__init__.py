"""Results in, leaderboards out: numpy and pandas only, the same bytes from the same Results, never torch."""

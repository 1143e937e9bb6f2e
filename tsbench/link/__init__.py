"""What forecasts of a channel are good for: a link that is steered by them, simulated with Sionna PHY."""

"""The mean of each station's training hours."""

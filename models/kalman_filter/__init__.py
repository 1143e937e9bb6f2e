"""Kalman filter of a constant velocity or acceleration."""

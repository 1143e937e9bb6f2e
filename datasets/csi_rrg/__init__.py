"""Channels of the CSI-RRG benchmark: generated with Sionna PHY, or read from the published folders."""

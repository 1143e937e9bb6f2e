"""Ray-traced channels in the formats of DeepMIMO."""

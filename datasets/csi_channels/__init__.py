"""Channels of other models than those of CSI-RRG, in its store: tapped delay lines, and urban cells."""

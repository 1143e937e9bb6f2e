"""Formulas of radio propagation that data sets and models share."""

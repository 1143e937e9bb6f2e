"""GIFT-Eval: 55 data sets of a benchmark of general forecasting models."""

"""Sweeps with Optuna: chooses settings by the validation score. Importing it imports no torch or Optuna."""

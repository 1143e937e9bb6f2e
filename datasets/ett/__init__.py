"""Electricity transformer temperature: ETTh1, ETTh2, ETTm1, ETTm2."""

"""Rows of `benchmarks/ops.py`: one module an operator, found by its file, with `rows(device, repeats)`."""

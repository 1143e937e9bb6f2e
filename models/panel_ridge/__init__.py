"""Ridge regression on features of a panel's samples."""

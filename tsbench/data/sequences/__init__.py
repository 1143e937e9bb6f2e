"""Collections of sequences in the file formats of Time-300B: binary sets, JSON, NumPy, YAML."""

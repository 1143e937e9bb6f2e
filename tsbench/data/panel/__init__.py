"""Tasks of the kind `panel`: their data and their disturbances."""

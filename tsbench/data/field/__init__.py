"""Tasks of the kind `field`: their data and their disturbances."""

"""Tasks of the kind `rollout`: their data and their disturbances."""

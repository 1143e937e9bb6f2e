"""Power of 137 photovoltaic plants in Alabama."""

"""Generated flows that sensors of a city count; some sensors say nothing, some repeat others."""

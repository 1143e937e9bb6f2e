"""From buildings and transmitters to maps: by ray tracing or by formula."""

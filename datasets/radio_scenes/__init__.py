"""Radio maps over a user's own extract of a map."""

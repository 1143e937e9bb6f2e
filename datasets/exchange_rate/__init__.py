"""Daily exchange rates of eight countries."""

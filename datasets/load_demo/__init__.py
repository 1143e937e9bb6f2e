"""Generated demonstration data: hourly load, temperature and price of two regions."""

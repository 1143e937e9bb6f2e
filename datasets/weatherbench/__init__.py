"""Stores of weather in the format of WeatherBench 2: a folder of a user's own, read and written."""

"""A perceptron of a station's cells and the hour, which does not know the station."""

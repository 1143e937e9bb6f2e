"""The mean of a place over the training years, moved along a trend that all places share."""

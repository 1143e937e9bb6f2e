"""Tables of a user's own: CSV or Parquet, wide or long."""

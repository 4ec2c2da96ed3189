"""One pass over data that come in batches: how they are read, encoded and summed."""

"""What can be done with the lab while it is recorded, each a function of a `Lab`."""

"""What `training_throughput.py` runs in processes of their own: the model they share, and the two that are compared."""

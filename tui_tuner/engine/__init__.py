"""Where jobs run: the MLX worker thread, its queue, and the whole loop as one job.

Importing this package must stay cheap: mlx and mlx-lm are imported by the jobs, inside the worker, never here.
"""

"""Training by several processes: where they run, how they are started and watched, and what each of them does.

The one who starts them loads no mlx and judges by the run's events. Every rank runs the same command; rank 0 does the
whole run, the others only train with it.
"""

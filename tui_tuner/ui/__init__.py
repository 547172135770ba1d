"""The full-screen interface: one app, eight screens, our own charts.

It only looks and asks: it reads run folders and submits requests to an engine that is handed in. It must never import
mlx, mlx_lm, transformers or datasets, never touch an array of theirs, and never block the event loop.
"""

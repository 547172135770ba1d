"""What a run will take before it is started: memory, time and disk, and what would make it fit.

The closed form (`forecast.py`) needs sizes and lengths only and answers at once, so that a form can show it live;
measured steps (`engine/forecast_measure.py`) make it exact. Nothing in here trains, writes a run, or touches mlx,
except `speed.py`, which times a few products once per device.
"""

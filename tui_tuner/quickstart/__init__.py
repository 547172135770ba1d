"""The embedded tiny model and its data, so that the whole loop runs at once, offline, on any machine.

What lies here is data (`model/`, `players.json`, `samples/`) and the scripts that rebuild it (`build/`); `paths` knows
where it lies. Outside `build` it must never import mlx, mlx_lm or transformers, and it must never write into its own
folder.
"""

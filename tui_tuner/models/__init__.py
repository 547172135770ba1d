"""Models: find, load and describe them; adapters on them. Heavy libraries are imported inside functions."""

"""The training loop and its parts, built from mlx-lm's. Importing the package stays cheap."""

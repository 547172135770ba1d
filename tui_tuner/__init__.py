"""tui_tuner: a full-screen terminal workbench for fine-tuning language models with mlx-lm."""

__version__ = "0.1.0"

"""Quantization that looks at rows first: mlx-lm's dynamic bits, AWQ, DWQ and GPTQ, on rows that a person brings.

Nothing here ever downloads anything: what a method learns from is given to it.
"""

"""Metrics, their uncertainty, and the verdict on before and after."""

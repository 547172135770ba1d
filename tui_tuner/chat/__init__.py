"""Conversation with a model and its adapter."""

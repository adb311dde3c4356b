"""Readers of models from other frameworks, one folder for each."""

"""Readers of models from other frameworks, one folder per format."""

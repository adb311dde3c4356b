"""Helpers that know nothing about networks: validation, files, text, progress, interrupts."""

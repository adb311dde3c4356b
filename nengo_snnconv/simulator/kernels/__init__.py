"""Compiled code that runs the programs of the fast simulator."""

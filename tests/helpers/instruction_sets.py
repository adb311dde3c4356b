"""Tests of compiled code for the instructions of this processor, and for fewer."""

import pytest

from nengo_snnconv.simulator.kernels import appending

INSTRUCTIONS = list(appending.COMPRESS)  # each processor has those behind its own, too
AVAILABLE = INSTRUCTIONS[INSTRUCTIONS.index(appending.instructions()) :]


def compile_for(instructions, monkeypatch, module):
    """Let the functions of a module be compiled for some instructions; skip the test where they are not available."""
    if instructions not in AVAILABLE:
        pytest.skip(f"this processor, or NUMBA_CPU_FEATURES, lacks {instructions}")
    monkeypatch.setattr(module, "instructions", lambda: instructions)

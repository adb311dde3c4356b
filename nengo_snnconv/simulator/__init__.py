"""The fast simulator: the same spikes as the other back ends, many times faster."""

__all__ = ["Simulator"]


def __getattr__(name):
    # without Nengo and TensorFlow, so that a process that only compiles operations starts at once
    if name in __all__:
        from .simulation import Simulator

        return Simulator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

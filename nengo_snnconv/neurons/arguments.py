"""Arguments of Nengo's frozen objects, such as neuron types and synapses: read, replaced and checked."""

import inspect

import nengo
import numpy as np
from nengo.params import Parameter

from .._util.validation import is_number, shown
from ..errors import SettingsError

# arguments of base classes that subclasses set themselves, such as the numerator of a low-pass filter
FIXED = {"num", "den", "default_size_in", "default_size_out", "default_dt"}


def arguments_of(frozen):
    """Return the arguments with which a Nengo object was made, {name: value}."""
    names = []
    for base in type(frozen).__mro__:
        if "__init__" in vars(base):
            parameters = inspect.signature(base.__init__).parameters.values()
            names += [p.name for p in parameters if p.name != "self" and p.kind != p.VAR_KEYWORD]
            if not any(p.kind == p.VAR_KEYWORD for p in parameters):
                break  # nothing is passed to the base class
    names = [name for name in dict.fromkeys(names) if isinstance(getattr(type(frozen), name, None), Parameter)]
    own = inspect.signature(type(frozen).__init__).parameters
    return {name: getattr(frozen, name) for name in names if name not in FIXED or name in own}


def replaced(frozen, **changes):
    """Return a copy of a Nengo object with some arguments changed."""
    return type(frozen)(**{**arguments_of(frozen), **changes})


def code_of(frozen):
    """Return a Nengo object, such as a neuron type, as Python code."""
    module = type(frozen).__module__.partition(".")[0]
    # Nengo's distributions have no module in their representation
    code = repr(frozen).replace("Uniform(", "nengo.dists.Uniform(")
    return f"{'snc' if module == 'nengo_snnconv' else module}.{code}"


def check_synapse(**values):
    """Check that each named value is a synapse: a time constant in seconds, a nengo.synapses.Synapse or None."""
    for name, value in values.items():
        seconds = getattr(value, "tau", 0.0) if isinstance(value, nengo.synapses.Synapse) else value
        if value is not None and (not is_number(seconds) or not 0 <= seconds < np.inf):
            raise SettingsError(
                f"{name} must be a time constant in seconds, 0 or more, a nengo.synapses.Synapse, or None; got "
                f"{shown(value)}",
                argument=name,
            )


def as_synapse(value):
    """Return a valid synapse argument as a Synapse or None; numbers are time constants of low-pass filters."""
    return nengo.Lowpass(float(value)) if is_number(value) else value

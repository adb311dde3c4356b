"""The arguments of Nengo's frozen objects, from which they can be made again."""

import inspect

from nengo.params import Parameter

# what a base class takes, but the class itself fixes, as a low-pass filter its numerator
FIXED = {"num", "den", "default_size_in", "default_size_out", "default_dt"}


def arguments_of(frozen):
    """The arguments with which a Nengo object, such as a neuron type, was made: {name: value}."""
    names = []
    for base in type(frozen).__mro__:
        if "__init__" in vars(base):
            parameters = inspect.signature(base.__init__).parameters.values()
            names += [p.name for p in parameters if p.name != "self" and p.kind != p.VAR_KEYWORD]
            if not any(p.kind == p.VAR_KEYWORD for p in parameters):
                break  # nothing is passed on to the base class
    names = [name for name in dict.fromkeys(names) if isinstance(getattr(type(frozen), name, None), Parameter)]
    own = inspect.signature(type(frozen).__init__).parameters
    return {name: getattr(frozen, name) for name in names if name not in FIXED or name in own}


def replaced(frozen, **changes):
    """A copy of a Nengo object with some arguments changed."""
    return type(frozen)(**{**arguments_of(frozen), **changes})

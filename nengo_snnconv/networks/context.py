"""Functions that build networks of their own while the context of a user's network is open."""

from __future__ import annotations

import contextlib
import functools
import typing
from collections.abc import Callable, Iterator

import nengo

Parameters = typing.ParamSpec("Parameters")
Result = typing.TypeVar("Result")


@contextlib.contextmanager
def no_open_network() -> Iterator[None]:
    """Build networks that become part of no other network, even in the context of one."""
    context = nengo.Network.context
    outer = list(context)
    context.clear()
    try:
        yield
    finally:
        for network in outer:
            context.append(network)


def adds_result_only(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Add only the network that a function returns to the network whose context is open, if any.

    Nengo adds each object that is made in the context of a network, so that the networks that a function builds on the
    way would be simulated as well.
    """

    @functools.wraps(function)
    def wrapped(*arguments: Parameters.args, **options: Parameters.kwargs) -> Result:
        with no_open_network():
            result = function(*arguments, **options)
        context = nengo.Network.context
        if isinstance(result, nengo.Network) and context and result not in context[-1].networks:
            nengo.Network.add(result)
        return result

    return wrapped

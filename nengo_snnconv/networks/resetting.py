"""The reset of networks during a run: operators of Nengo and NengoDL that set states back to their initial values."""

from __future__ import annotations

import typing

import nengo
import numpy as np
from nengo.builder.network import build_network
from nengo.builder.neurons import SimNeurons
from nengo.builder.processes import SimProcess
from nengo.builder.signal import Signal

from .._util.user_warnings import warn_user
from ..compat import nengo_dl, tf
from ..errors import ConversionError
from ..neurons.max_gate import MaxGate
from ..neurons.surrogate_lif import SurrogateLIF

if typing.TYPE_CHECKING:
    from .network import ConvNetwork

# a signal above this value resets
ON = 0.5
# neurons that forget earlier images in a few time constants
LEAKY = (nengo.LIF, SurrogateLIF)


class ResettingNeurons(SimNeurons):
    """SimNeurons whose states have their initial values at the start of each step in which a signal is on.

    Parameters
    ----------
    neurons : SimNeurons
        Operator to replace.
    trigger : Signal, (1,)
    """

    def __init__(self, neurons, trigger):
        state = {**neurons.state, **neurons.state_extra}
        super().__init__(neurons.neurons, neurons.J, neurons.output, state, neurons.tag)
        self.reads.append(trigger)

    def make_step(self, signals, dt, rng):
        """Return the function that computes a step."""
        step = super().make_step(signals, dt, rng)
        reset = _reset(signals, self.reads[-1], self.state.values())

        def resetting_step():
            reset()
            step()

        return resetting_step


class ResetSignals(SimNeurons):
    """Sets signals that another operator updates to their initial values in each step in which a signal is on.

    It runs before all operators that read the signals; the operator that updates them runs too late for that.  It is a
    kind of SimNeurons with these signals as states, because NengoDL keeps no values of signals that others set.

    Parameters
    ----------
    signals : list of Signal
    trigger : Signal, (1,)
    """

    def __init__(self, signals, trigger):
        super().__init__(None, trigger, Signal(shape=1), {str(number): each for number, each in enumerate(signals)})

    def make_step(self, signals, dt, rng):
        """Return the function that computes a step."""
        return _reset(signals, self.reads[-1], self.state.values())


def _reset(signals, trigger, state):
    """Return a function that sets the signals ``state`` to their present values if ``trigger`` is on."""
    trigger = signals[trigger]
    initial = [(signals[signal], signals[signal].copy()) for signal in state]

    def reset():
        if trigger[0] > ON:
            for values, initial_values in initial:
                values[...] = initial_values

    return reset


class _ResettingBuilder(nengo_dl.builder.OpBuilder):
    """The same reset in TensorFlow."""

    def build_pre(self, signals, config):
        super().build_pre(signals, config)
        (operator,) = self.ops
        self.trigger, self.states = signals[operator.reads[-1]], []
        for signal in operator.state.values():
            initial = np.reshape(signal.initial_value, signal.shape)
            self.states.append((signals[signal], tf.constant(initial[None], signals.dtype)))

    def build_step(self, signals):
        on = signals.gather(self.trigger) > ON  # (images, 1)
        for state, initial in self.states:
            values = signals.gather(state)
            on_shape = tf.reshape(on, (-1, *[1] * (len(values.shape) - 1)))
            signals.scatter(state, tf.where(on_shape, tf.broadcast_to(initial, values.shape), values))

    @staticmethod
    def mergeable(x, y):
        """Return False: each operator has a trigger of its own."""
        return False


@nengo_dl.builder.Builder.register(ResetSignals)
class ResetSignalsBuilder(_ResettingBuilder):
    """Builder of ResetSignals."""


@nengo_dl.builder.Builder.register(ResettingNeurons)
class ResettingNeuronsBuilder(_ResettingBuilder):
    """Builder of ResettingNeurons: the reset, and then the builder of the neuron type."""

    def __init__(self, ops):
        super().__init__(ops)
        self.neurons = nengo_dl.neuron_builders.SimNeuronsBuilder(ops)

    def build_pre(self, signals, config):
        super().build_pre(signals, config)
        self.neurons.build_pre(signals, config)

    def build_step(self, signals):
        super().build_step(signals)
        return self.neurons.build_step(signals)

    def build_post(self, signals):
        return self.neurons.build_post(signals)


def add_resets(model: nengo.builder.Model, first: int, trigger: nengo.builder.Signal) -> None:
    """Make all states of a part of a Nengo model reset by a signal.

    Parameters
    ----------
    model : nengo.builder.Model
    first : int
        Number of the first operator of the part, which is the last one that was built.
    trigger : Signal, (1,)
        Resets in each step in which it is above 0.5.
    """
    for number, operator in enumerate(model.operators[first:], first):
        if type(operator) is SimNeurons:
            model.operators[number] = ResettingNeurons(operator, trigger)
        elif isinstance(operator, SimProcess) and operator.updates:
            model.add_op(ResetSignals(operator.updates, trigger))


def build_with_reset(model: nengo.builder.Model, network: ConvNetwork, progress: typing.Any = None) -> None:
    """Build a ConvNetwork; with the reset of its states if ``network.reset`` has an input.

    Raises
    ------
    ConversionError
        If it has TensorNodes, and the simulator is not that of NengoDL.
    """
    if getattr(network.settings, "tensor_nodes", False) and not isinstance(
        model.builder, nengo_dl.builder.NengoBuilder
    ):
        raise ConversionError(
            f"{network} has Keras layers in TensorNodes, which only nengo_dl.Simulator and snc.Simulator run: make a "
            "network of Nengo's own objects, network.rebuild(tensor_nodes=False)"
        )
    first = len(model.operators)
    build_network(model, network, progress)
    if is_reset(network, model.toplevel):
        add_resets(model, first, model.sig[network.reset]["out"])


def is_reset(network: ConvNetwork, larger: nengo.Network) -> bool:
    """Return whether something resets ``network`` when it runs as a part of the network ``larger``, or as the whole.

    Warns
    -----
    SnnConvWarning
        If images are shown one after another to a network that keeps state from one to the next, or if they or the
        signal that resets are filtered.
    """
    _warn_of_filtered_images(network, larger)
    into = [] if network.reset is None else _connections_into(network.reset, larger)
    if not into and getattr(network.reset, "output", None) is None:
        _warn_of_kept_state(network, larger)
        return False
    if any(each.synapse is not None and isinstance(each.pre_obj, nengo.Node) for each in into):
        warn_user(
            f"a synapse filters the signal from {into[0].pre_obj} to network.reset, so that short pulses do not exceed "
            f"{ON}, and do not reset: give nengo.Connection(..., synapse=None)",
        )
    return True


def _warn_of_filtered_images(network, larger):
    """Warn if a synapse filters the images that a Node shows."""
    for connection in _connections_into(network.input, larger):
        source = connection.pre_obj
        # a node without output passes on other signals, such as those of ensembles
        if connection.synapse is not None and isinstance(source, nengo.Node) and source.output is not None:
            warn_user(
                f"a synapse, {connection.synapse}, filters the images from {source}, so that each fades in "
                "and the one before it fades out: give nengo.Connection(..., synapse=None)"
            )


def _connections_into(node, larger):
    return [connection for connection in larger.all_connections if connection.post_obj is node]


def _warn_of_kept_state(network, larger):
    """Warn if images are shown one after another to a network that keeps state from one to the next."""
    sources = [network.input, *(connection.pre_obj for connection in _connections_into(network.input, larger))]
    outputs = [getattr(source, "output", None) for source in sources]
    if any(isinstance(output, nengo.processes.PresentInput) for output in outputs) and _keeps_state(network):
        warn_user(
            "PresentInput shows images one after another, but membrane potentials and other state of the network carry "
            "over from one to the next, which costs accuracy: use present(network, x, n_steps=...), which resets the "
            "network for each image, or connect a signal that does to network.reset",
        )


def _keeps_state(network):
    """Return whether neurons keep state of an image for long."""
    types = [ensemble.neuron_type for ensemble in network.all_ensembles]
    lasting = (each for each in types if "voltage" in each.state and not isinstance(each, LEAKY))
    return any(lasting) or any(isinstance(each, MaxGate) and each.cumulative for each in types)

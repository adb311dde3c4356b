"""Objects that the fast simulator does not support."""

import nengo
import numpy as np
import pytest
from models import small_cnn
from simulators import two_nodes

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl, tf
from nengo_snnconv.neurons.max_gate import MaxGate
from nengo_snnconv.neurons.poisson_input import PoissonInput
from nengo_snnconv.simulator import Simulator


def population(neuron_type=None, probe="output", **options):
    """Return a network of one ensemble, which is probed."""
    unit = {"gain": np.ones(4), "bias": np.zeros(4)}
    with nengo.Network() as network:
        ensemble = nengo.Ensemble(4, 1, neuron_type=neuron_type or nengo.LIF(), label="group", **{**unit, **options})
        nengo.Probe(ensemble.neurons, probe)
    return network


def connected(make_connection):
    """Return a network of an ensemble, a node and the object that ``make_connection`` returns."""
    with nengo.Network() as network:
        ensemble = nengo.Ensemble(4, 1, gain=np.ones(4), bias=np.zeros(4), label="group")
        node = nengo.Node(size_in=1, label="node")
        made = make_connection(ensemble, node)
        nengo.Probe(made if isinstance(made, nengo.Node | nengo.ensemble.Neurons) else node)
    return network


def recurrent(ensemble, node):
    nengo.Connection(ensemble.neurons, ensemble.neurons, transform=np.eye(4))
    return ensemble.neurons


def learning(ensemble, node):
    options = {"transform": np.eye(4), "learning_rule_type": nengo.BCM()}
    return nengo.Connection(ensemble.neurons, nengo.Ensemble(4, 1).neurons, **options)


def tensor_node(ensemble, node):
    return nengo_dl.TensorNode(lambda t: t, shape_in=(1,), shape_out=(1,), label="tensors")


def softmax_node(ensemble, node):
    dense = tf.keras.layers.Dense(2, activation="softmax", name="dense")
    return nengo_dl.TensorNode(dense, shape_in=(1,), shape_out=(2,), pass_time=False)


def probe_of(obj):
    return lambda ensemble, node: nengo.Probe(obj(ensemble, node))


LINK, GROUP = "<Connection link>", "<Ensemble 'group'>"


@pytest.mark.parametrize(
    ("make_network", "obj", "reason"),
    [
        (
            lambda: connected(lambda e, n: nengo.Node(lambda t, x: x, size_in=1, label="f")),
            "<Node 'f'>",
            "functions of",
        ),
        (
            lambda: connected(lambda e, n: nengo.Connection(e, n)),
            GROUP,
            "decodes an ensemble: use nengo.Simulator or",
        ),
        (lambda: connected(lambda e, n: nengo.Connection(nengo.Node(1), e)), GROUP, "goes into an ensemble"),
        (lambda: connected(learning), GROUP, "which learns"),
        (lambda: connected(recurrent), GROUP, "feeds back on itself"),
        (lambda: connected(tensor_node), "'tensors'", "a TensorNode that computes the function <lambda>"),
        (lambda: connected(softmax_node), "'dense'", "a TensorNode with a softmax"),
        (lambda: connected(probe_of(lambda e, n: e)), GROUP, "can probe nodes"),
        (
            lambda: connected(probe_of(lambda e, n: nengo.Connection(n, n))),
            "<Connection",
            "can probe nodes",
        ),
        (lambda: two_nodes(function=np.square), LINK, "computes a function"),
        (lambda: two_nodes(synapse=nengo.Triangle(0.01)), LINK, "Triangle synapse"),
        (lambda: two_nodes(transform=nengo.dists.Uniform(0, 1)), LINK, "drawn from Uniform"),
        (
            lambda: two_nodes(transform=nengo.Convolution(2, (1, 2), kernel_size=(1,), strides=(1,), padding="same")),
            LINK,
            "drawn from Uniform",
        ),
        (
            lambda: two_nodes(
                transform=nengo.Convolution(
                    2, (2, 1), kernel_size=(1,), strides=(1,), init=np.ones((1, 2, 2)), channels_last=False
                )
            ),
            LINK,
            "channels last",
        ),
        (
            lambda: two_nodes(transform=nengo.ConvolutionTranspose(2, (1, 2), kernel_size=(1,), strides=(1,))),
            LINK,
            "ConvolutionTranspose transform",
        ),
        (lambda: population(nengo.AdaptiveLIF()), "AdaptiveLIF()", "does not support"),
        (lambda: population(nengo.PoissonSpiking(nengo.RectifiedLinear())), "PoissonSpiking", "does not support"),
        (lambda: population(nengo.Tanh()), "Tanh", "does not support"),
        (lambda: population(noise=nengo.processes.WhiteNoise()), GROUP, "noise"),
        (lambda: population(PoissonInput(), probe="step"), f"<Neurons of {GROUP}>", "cannot probe 'step'"),
        (lambda: population(MaxGate(2, cumulative=False), probe="total"), GROUP, "can probe output, input"),
    ],
)
def test_unsupported_objects(make_network, obj, reason):
    network = make_network()
    with pytest.raises(snc.ConversionError) as caught:
        Simulator(network)
    assert obj in str(caught.value)
    assert reason in str(caught.value)
    assert caught.value.layer in (None, obj.strip("'"))


def test_unsupported_layers():
    network = snc.build_trainable(small_cnn(), nengo.RegularSpiking(nengo.RectifiedLinear()), max_rates=100)
    with pytest.raises(snc.ConversionError) as caught:
        Simulator(network)
    assert caught.value.layer == network.model.neurons[0]


def test_loops():
    with nengo.Network() as network:
        nodes = [nengo.Node(size_in=1, label=str(number)) for number in range(3)]
        for one, other in zip(nodes, nodes[1:] + nodes[:1], strict=True):
            nengo.Connection(one, other)
        nengo.Probe(nodes[0])
    with pytest.raises(snc.ConversionError, match="<Node '[012]'> feeds back"):
        Simulator(network)

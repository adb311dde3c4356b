"""Rate forms of neuron types as TensorFlow functions, for training."""

import functools

import nengo

from ..compat import nengo_dl, tf
from ..errors import ConversionError


def rate_function(neuron_type, lif_smoothing=None):
    """Return the rate form of a neuron type: a differentiable function from input current to output.

    NengoDL computes the same function in training.

    Parameters
    ----------
    neuron_type : nengo.neurons.NeuronType
    lif_smoothing : float, optional
        Sigma of the smoothed response of ``nengo.LIF`` (Hunsberger & Eliasmith 2015, arXiv 1510.08829, equation 4), as
        NengoDL's setting of the same name.

    Returns
    -------
    callable
        Function from a tensor of currents, with gain and bias applied, to a tensor of the same shape: firing rates in
        Hz times the neuron type's amplitude.

    Raises
    ------
    ConversionError
        If the neuron type has no rate form.
    """
    if lif_smoothing is not None and type(neuron_type) is nengo.LIF:
        parameters = {name: getattr(neuron_type, name) for name in ("tau_rc", "tau_ref", "amplitude")}
        neuron_type = nengo_dl.SoftLIFRate(sigma=lif_smoothing, **parameters)
    return functools.partial(rate_function_of, neuron_type)


@functools.singledispatch
def rate_function_of(neuron_type, current):
    """Return the output of neurons for a tensor of currents; register a function here for each neuron type."""
    raise ConversionError(
        f"neuron type {type(neuron_type).__name__} has no rate form to train with: use nengo.LIF, "
        "nengo.SpikingRectifiedLinear, or nengo.RegularSpiking around a rate type"
    )


@rate_function_of.register(nengo.AdaptiveLIF)
@rate_function_of.register(nengo.AdaptiveLIFRate)
def _(neuron_type, current):
    # subclasses of LIF, but their rate changes over time
    return rate_function_of.dispatch(object)(neuron_type, current)


@rate_function_of.register(nengo.RectifiedLinear)
def _(neuron_type, current):
    return neuron_type.amplitude * tf.nn.relu(current)


@rate_function_of.register(nengo_dl.LeakyReLU)
@rate_function_of.register(nengo_dl.SpikingLeakyReLU)
def _(neuron_type, current):
    return neuron_type.amplitude * tf.nn.leaky_relu(current, neuron_type.negative_slope)


@rate_function_of.register(nengo.LIFRate)
def _(neuron_type, current):
    above = current - 1
    # the floor keeps the gradient of currents below threshold finite; tf.where gives them rate zero
    interval = neuron_type.tau_ref + neuron_type.tau_rc * tf.math.log1p(1 / tf.maximum(above, 1e-15))
    return tf.where(above > 0, neuron_type.amplitude / interval, tf.zeros_like(current))


@rate_function_of.register(nengo_dl.SoftLIFRate)
def _(neuron_type, current):
    scaled = (current - 1) / neuron_type.sigma
    valid = scaled > -20
    soft = tf.nn.softplus(tf.where(valid, scaled, tf.zeros_like(scaled))) * neuron_type.sigma
    # log1p(1 / soft) tends to -log(soft) = -scaled - log(sigma) where soft underflows
    log_term = tf.where(valid, tf.math.log1p(1 / soft), -scaled - tf.math.log(float(neuron_type.sigma)))
    return neuron_type.amplitude / (neuron_type.tau_ref + neuron_type.tau_rc * log_term)


@rate_function_of.register(nengo.Sigmoid)
def _(neuron_type, current):
    return tf.nn.sigmoid(current) / neuron_type.tau_ref


@rate_function_of.register(nengo.Tanh)
def _(neuron_type, current):
    return tf.nn.tanh(current) / neuron_type.tau_ref


@rate_function_of.register(nengo.RegularSpiking)
@rate_function_of.register(nengo.StochasticSpiking)
@rate_function_of.register(nengo.PoissonSpiking)
def _(neuron_type, current):
    return neuron_type.amplitude * rate_function_of(neuron_type.base_type, current)

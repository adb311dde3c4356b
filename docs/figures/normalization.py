"""Activations of a layer with the scales of normalize, and the error for each threshold."""

import matplotlib.pyplot as plt
import numpy as np
from networks import ann, digits

import nengo_snnconv as snc

LAYER, STEPS = "conv1_relu", (4, 8, 16)


def scale(network, x, **options):
    (value,) = set(snc.normalize(network, x, per="layer", **options).model.metadata["scales"][LAYER])
    return value


def draw():
    network, x = snc.convert(ann()), digits().x_train[:500]
    model = snc.rate_model(network)
    layer = type(model)(model.input, model.get_layer(LAYER).output)
    activations = np.asarray(layer.predict(x, verbose=0)).ravel()
    scales = {
        "balanced, 4 steps": scale(network, x, method="balance", n_steps=4),
        "99.9th percentile": scale(network, x),
        "largest": scale(network, x, percentile=100),
    }

    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="tight")
    left.hist(activations[activations > 0], bins=100, color="C0", alpha=0.6, log=True)
    for (name, value), style in zip(scales.items(), ("-", "--", ":"), strict=True):
        left.axvline(value, color="C3", ls=style, label=f"{name}: {value:.2f}")
    left.set(xlabel=f"positive activation of {LAYER}", ylabel="count", title="Three scales for one layer")
    left.legend(fontsize=8)
    snc.plot_threshold_errors(snc.threshold_errors(network, x, LAYER, n_steps=STEPS), right)
    right.set_title("Error of rounding and clipping")
    plt.close(figure)
    return figure

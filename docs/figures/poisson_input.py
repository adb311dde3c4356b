"""An image as Poisson spikes: single steps and running means."""

import nengo_snnconv as snc


def draw():
    image = snc.load_dataset("digits", train=1, test=1).x_test
    spikes = snc.poisson_spikes(image, n_steps=40, seed=0)
    return snc.plot_input_spikes(image[0], spikes[0], steps=(1, 5, 10, 40))

"""Read-outs: class scores over time from the output of a network, chunk by chunk."""

import numpy as np


def averaging_readout(skip_steps=0):
    """Return a function that averages class scores over time.

    Parameters
    ----------
    skip_steps : int
        The average starts again after this many steps.

    Returns
    -------
    callable
        Takes the output (images, steps, classes) of the next chunk of time; returns, for each step, the mean of all
        steps up to it, float32 of the same shape.
    """
    total, n_steps, skipped = 0.0, 0, 0.0

    def readout(output):
        nonlocal total, n_steps, skipped
        sums = total + np.cumsum(output, axis=1, dtype=np.float64)
        numbers = n_steps + np.arange(1, output.shape[1] + 1)
        if n_steps < skip_steps <= numbers[-1]:
            skipped = sums[:, [skip_steps - n_steps - 1]]
        total, n_steps = sums[:, -1:], numbers[-1]
        late = (numbers > skip_steps)[:, None]
        return ((sums - late * skipped) / (numbers[:, None] - late * skip_steps)).astype(np.float32)

    return readout


def filtering_readout(synapse, shape, dt):
    """Return a function that filters class scores over time.

    Parameters
    ----------
    synapse : nengo.synapses.Synapse or None
        None returns the output unchanged.
    shape : tuple of int
        (images, classes).
    dt : float
        Seconds per step.

    Returns
    -------
    callable
        Takes the output (images, steps, classes) of the next chunk of time; returns an array of the same shape.
    """
    if synapse is None:
        return lambda output: output
    state = synapse.make_state(shape, shape, dt)
    step = synapse.make_step(shape, shape, dt, rng=None, state=state)
    # the first argument is the time, on which a linear filter does not depend
    return lambda output: np.stack([step(0, output[:, i]) + 0.0 for i in range(output.shape[1])], axis=1)

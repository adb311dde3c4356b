"""Diagnosis of a network whose neurons start at zero, after two steps."""

from networks import digits, normalized

import nengo_snnconv as snc


def draw():
    data = digits()
    broken = snc.to_spiking(normalized(), snc.IntegrateAndFire(initial_potential=0))
    return snc.diagnose(broken, data.x_test, data.y_test, n_steps=2).plot()

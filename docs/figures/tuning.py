"""Settings tried by tune: accuracy against steps and against operations."""

from networks import ann, digits

import nengo_snnconv as snc

SPACE = [
    {"percentile": [99, 99.9, 100], "per": ["layer", "channel"], "initial_potential": [0.25, 0.5]},
    {"method": ["balance"], "balance_steps": [2, 8, 32], "initial_potential": [0.5]},
]


def draw():
    data = digits()
    try:
        tuning = snc.tune(
            snc.convert(ann()),
            data.x_test,
            data.y_test,
            max_loss=0.3,  # less than one of 300 images
            x_calibration=data.x_train[:500],
            max_steps=32,
            space=SPACE,
            n_jobs=1,
        )
    except snc.TuningError as error:
        tuning = error.tuning
    return tuning.plot()

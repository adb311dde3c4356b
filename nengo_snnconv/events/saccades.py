"""Motion of the camera with which N-MNIST was recorded."""

import numpy as np

# Measured on 900 recordings of the training set: position and velocity of the image follow from the regression of the
# events of each 5 ms on the gradient of the logarithm of the image.
# fmt: off
_X = [
    -2.55, -2.55, -2.56, -2.59, -2.63, -2.67, -2.70, -2.71, -2.69, -2.65, -2.56, -2.34, -2.02, -1.72, -1.40, -1.16,
    -1.07, -1.02, -0.99, -0.95, -0.90, -0.84, -0.76, -0.65, -0.53, -0.34, -0.02, 0.33, 0.70, 1.04, 1.28, 1.43,
    1.53, 1.68, 1.86, 2.03, 2.16, 2.26, 2.32, 2.39, 2.48, 2.59, 2.70, 2.78, 2.81, 2.81, 2.74, 2.42,
    1.95, 1.44, 0.95, 0.45, -0.09, -0.62, -1.08, -1.45, -1.74, -2.00, -2.22, -2.36, -2.42, -2.43, -2.44,
]
_Y = [
    -1.79, -1.77, -1.72, -1.60, -1.38, -1.07, -0.64, -0.11, 0.48, 1.10, 1.74, 2.30, 2.78, 3.15, 3.44, 3.58,
    3.64, 3.66, 3.65, 3.62, 3.59, 3.54, 3.51, 3.49, 3.47, 3.39, 3.21, 2.88, 2.44, 1.92, 1.34, 0.75,
    0.18, -0.37, -0.86, -1.21, -1.41, -1.53, -1.56, -1.56, -1.56, -1.55, -1.54, -1.55, -1.57, -1.57, -1.57, -1.57,
    -1.55, -1.55, -1.57, -1.59, -1.63, -1.68, -1.73, -1.79, -1.85, -1.89, -1.90, -1.89, -1.88, -1.87, -1.87,
]
# fmt: on

# Position of the image, three saccades along a triangle: microseconds, x and y in pixels to the right of and below the
# center of the sensor, to be interpolated linearly.
SACCADES = np.column_stack([5000 * np.arange(len(_X)), _X, _Y])
SACCADES.flags.writeable = False
# times of the borders between saccades
SACCADE_ENDS_US = 105_000, 210_000

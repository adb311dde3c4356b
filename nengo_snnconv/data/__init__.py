"""Image data sets, and an excerpt of MNIST that is part of the package."""

"""Image data sets, and the excerpt of MNIST that ships with the package."""

"""Evaluation of networks on images or recordings, and the back ends that run them."""

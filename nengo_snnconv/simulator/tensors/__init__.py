"""Networks as TensorFlow graphs: layer by layer over chunks of steps, on a GPU if there is one."""

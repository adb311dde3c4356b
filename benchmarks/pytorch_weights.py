"""Write tests/files/pytorch_model.npz: the weights of a small PyTorch model, images, and its outputs for them.

    python benchmarks/pytorch_weights.py

The tests of docs/how-to/models-from-elsewhere.md compare with this file, so that they do not need PyTorch.  Only this
script does (torch 2.13).
"""

import pathlib

import numpy as np
import torch
from torch import nn


def make():
    """Return a model with all differences to Keras: order of axes, padding, strides, groups, epsilon."""
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1, groups=2, bias=False),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(54, 8),
        nn.ReLU(),
        nn.Linear(8, 3),
    )


def main():
    torch.manual_seed(0)
    model = make()
    norm = model[1]
    for values, low, high in ((norm.running_mean, -1, 1), (norm.running_var, 0.5, 2)):
        values.uniform_(low, high)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    nn.init.uniform_(norm.bias, -1, 1)
    model.eval()
    images = torch.rand(4, 2, 12, 12)
    arrays = {name: array.numpy() for name, array in model.state_dict().items()}
    path = pathlib.Path(__file__).parents[1] / "tests" / "files" / "pytorch_model.npz"
    np.savez(path, images=images.numpy(), scores=model(images).detach().numpy(), **arrays)
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()

"""Make the files of this folder: small networks with random weights, as exporters write them, and their outputs.

They were made with PyTorch 2.13.0, tf2onnx 1.17.0 and tf-keras 2.21; run this script in an environment with these
packages, onnx and onnxscript to make them again.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import torch
from torch import nn

FOLDER = pathlib.Path(__file__).parent
SHAPE = (2, 11, 8)


class Residual(nn.Module):
    """A residual network with most layers of vision models."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 6, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU6())
        self.branch = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, groups=3), nn.BatchNorm2d(6))
        self.pool = nn.MaxPool2d(3, 2, padding=1, ceil_mode=True)
        self.head = nn.Sequential(nn.Linear(6 * 4 * 3, 7), nn.LeakyReLU(0.1), nn.Dropout(), nn.Linear(7, 4))

    def forward(self, x):
        x = self.stem(x)
        x = self.pool(torch.relu(x + self.branch(x)))
        x = torch.cat([x[:, 3:], x[:, :3]], 1)
        return self.head(x.view(x.size(0), -1))


class Pooled(nn.Module):
    """A network that ends with global pooling, and has a transposed convolution."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2, 4, (3, 2), dilation=(2, 1)),
            nn.PReLU(4),
            nn.ConvTranspose2d(4, 3, 3, stride=2, output_padding=1),
            nn.Upsample(scale_factor=2),
            nn.AvgPool2d(3, 2, padding=1, count_include_pad=False),
            nn.AdaptiveAvgPool2d(1),
        )
        self.head = nn.Linear(3, 4)

    def forward(self, x):
        return torch.log_softmax(self.head(torch.flatten(self.layers(x), 1)), -1)

    def scores(self, x):
        return self.head(torch.flatten(self.layers(x), 1))


def save(name, images, scores):
    np.savez_compressed(FOLDER / f"{name}.npz", images=images.astype(np.float32), scores=scores)


def pytorch_files():
    for cls in (Residual, Pooled):
        torch.manual_seed(0)
        module = cls().eval()
        for key, buffer in module.named_buffers():
            if buffer.is_floating_point():
                buffer.uniform_(0.5, 2) if "var" in key else buffer.normal_()
        x = torch.randn(3, *SHAPE)
        with torch.no_grad():
            scores = getattr(module, "scores", module)(x).numpy()
        for name, dynamo in (("pytorch", False), ("pytorchdynamo", True)):
            name = f"{name}_{cls.__name__.lower()}"
            options = {} if dynamo else {"dynamic_axes": {"image": {0: "n"}}, "input_names": ["image"]}
            arguments = {"dynamo": dynamo, "external_data": False} if dynamo else {"dynamo": False}
            torch.onnx.export(module, (x[:2],), FOLDER / f"{name}.onnx", **arguments, **options)
            save(name, np.moveaxis(x.numpy(), 1, -1), scores)


def tensorflow_file():
    from nengo_snnconv.compat import tf

    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            tf.keras.Input((11, 8, 2)),
            layers.Conv2D(4, 3, padding="same", strides=2, activation="relu"),
            layers.BatchNormalization(),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.MaxPooling2D(2, padding="same"),
            layers.UpSampling2D(2),
            layers.ZeroPadding2D(1),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(5, activation="relu"),
            layers.Dense(4),
        ]
    )
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 1, w.shape) * rng.choice([-1, 1], w.shape) for w in model.get_weights()])
    norm = model.layers[1]
    norm.set_weights([*norm.get_weights()[:3], np.abs(norm.get_weights()[3])])
    x = rng.normal(size=(3, 11, 8, 2)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(model, folder)
        command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", folder, "--opset", "18"]
        subprocess.run([*command, "--output", str(FOLDER / "tf2onnx_chain.onnx")], check=True)
    save("tf2onnx_chain", x, model(x, training=False).numpy())


if __name__ == "__main__":
    pytorch_files()
    tensorflow_file()

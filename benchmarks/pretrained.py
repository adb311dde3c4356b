"""Train the networks of ``snc.pretrained`` on CIFAR-10, measure them, and write their weights into the package.

    python benchmarks/pretrained.py

Checkpoints are kept in build/, so an interrupted run continues.
"""

import argparse
import pathlib

import numpy as np
from results import ROOT, publish

import nengo_snnconv as snc
from nengo_snnconv.presets import PRETRAINED, write_pretrained
from nengo_snnconv.presets.trained_presets import FOLDER

# settings of train_cnn; shifts by 4 pixels, because shifts by 2 let the training accuracy rise to 98.5 % in 16 epochs
SETTINGS = {
    "airbench-cifar10": {"epochs": 30, "shift": 4},
    "resnet14-cifar10": {"epochs": 20, "shift": 4},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--measure-only", action="store_true", help="measure the weights in the package")
    options = parser.parse_args()
    data = snc.load_dataset("cifar-10")
    results = {}
    for name, shape in PRETRAINED.items():
        if not options.measure_only:
            write_pretrained(name, trained(name, shape, data))
        model = snc.pretrained(name)
        scores = model.predict(data.x_test, batch_size=500, verbose=0)
        results[name] = {
            "epochs": SETTINGS[name]["epochs"],
            "accuracy": float(np.mean(scores.argmax(axis=1) == data.y_test)),
            "parameters": model.count_params(),
            "megabytes": (FOLDER / f"{name}.npz").stat().st_size / 1e6,
        }
        print(name, results[name], flush=True)
    publish("pretrained", table(results), {"networks": results})


def trained(name, shape, data):
    """Train a network, from its checkpoint if there is one."""
    folder = pathlib.Path(ROOT / "build")
    folder.mkdir(exist_ok=True)

    def show(epoch, values):
        print(f"{name} epoch {epoch}: {', '.join(f'{key} {value:.4f}' for key, value in values.items())}", flush=True)

    return snc.train_cnn(
        snc.preset(name, shape),
        data.x_train,
        data.y_train,
        **SETTINGS[name],
        checkpoint=folder / f"{name}.checkpoint.npz",
        on_epoch=show,
    )


def table(results):
    """Return the table of networks as Markdown."""
    lines = ["| network | epochs | accuracy on 10,000 test images | parameters | file |", "|---|---|---|---|---|"]
    lines += [
        f"| `{name}` | {row['epochs']} | {100 * row['accuracy']:.2f} % | {row['parameters']:,} | "
        f"{row['megabytes']:.1f} MB |"
        for name, row in results.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()

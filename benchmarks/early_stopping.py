"""Early stopping: mean steps and accuracy of networks whose images stop as soon as their class is certain.

    python benchmarks/early_stopping.py

Rules are chosen on images that neither train the network nor measure its accuracy: on MNIST the last training images,
on CIFAR-10, whose bundled network was trained on all training images, the last test images.
"""

import argparse

import nengo
from results import publish

import nengo_snnconv as snc

LOSSES = (0.5, 1.0, 2.0)
# steps for which the CIFAR-10 network is calibrated, and for which images run that do not stop
CIFAR_STEPS = ((4, 8), (8, 16))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--test-images", type=int, default=10_000, help="images on which accuracy is measured")
    parser.add_argument("--rule-images", type=int, default=2000, help="images on which rules are chosen")
    parser.add_argument("--calibration-images", type=int, default=1000, help="images for normalize and calibrate")
    parser.add_argument("--train-images", type=int, default=50_000, help="images on which the MNIST network is trained")
    parser.add_argument("--epochs", type=int, default=5, help="epochs of the MNIST network")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    options = parser.parse_args()
    rows = {}
    for name in options.networks:
        for title, network, n_steps, rule_data, test_data in NETWORKS[name](options):
            rows[title] = run(network, n_steps, rule_data, test_data)
            print(title, [(row["mean_steps"], row["accuracy"]) for row in rows[title]["rules"]], flush=True)
    publish("early-stopping", table(rows), {"rows": rows})


def mnist(options):
    """Yield diehl-mnist, converted: (title, network, n_steps, data for rules, test data)."""
    data, n_train = snc.load_dataset("mnist"), options.train_images
    trained = snc.train(
        snc.build_trainable(snc.preset("diehl-mnist"), nengo.RectifiedLinear()),
        data.x_train[:n_train],
        data.y_train[:n_train],
        epochs=options.epochs,
        batch_size=100,
        learning_rate=3e-3,
    )
    network = snc.normalize(snc.convert(trained), data.x_train[: options.calibration_images])
    rule_data = data.x_train[-options.rule_images :], data.y_train[-options.rule_images :]
    test_data = data.x_test[: options.test_images], data.y_test[: options.test_images]
    for coding in ("constant", "poisson"):
        snn = snc.to_spiking(network, snc.IntegrateAndFire(), input_coding=coding)
        yield f"diehl-mnist, {coding} input", snn, 32, rule_data, test_data


def cifar(options):
    """Yield airbench-cifar10, calibrated for half of the steps."""
    data = snc.load_dataset("cifar-10")
    n_test = min(options.test_images, len(data.x_test) - options.rule_images)
    rule_data = data.x_test[-options.rule_images :], data.y_test[-options.rule_images :]
    test_data = data.x_test[:n_test], data.y_test[:n_test]
    network, x = snc.convert(snc.pretrained("airbench-cifar10")), data.x_train[: options.calibration_images]
    for calibrated, n_steps in CIFAR_STEPS:
        snn = snc.to_spiking(
            snc.normalize(network, x, method="balance", n_steps=calibrated), snc.SignedIntegrateAndFire()
        )
        snn = snc.calibrate(snn, x, n_steps=calibrated)
        yield f"airbench-cifar10, calibrated for {calibrated} steps", snn, n_steps, rule_data, test_data


NETWORKS = {"mnist": mnist, "cifar": cifar}


def run(network, n_steps, rule_data, test_data):
    """Choose rules for several losses on some images, and evaluate them on others."""
    calibration = snc.evaluate(network, *rule_data, n_steps=n_steps)
    whole = snc.evaluate(network, *test_data, n_steps=n_steps)
    rules = []
    for max_loss in LOSSES:
        rule = snc.choose_stop(calibration, max_loss=max_loss)
        found = snc.evaluate(network, *test_data, stop=rule)
        rules.append(
            {
                "max_loss": max_loss,
                "mean_steps": found.mean_steps,
                "accuracy": float(found.accuracy[-1]),
                "synaptic_operations": found.synaptic_operations,
                "seconds": found.seconds,
                "rule": rule.to_dict(),
            }
        )
    return {"images": len(test_data[1]), "whole": whole.to_dict(), "rules": rules}


def table(rows):
    """Return the results as Markdown."""
    lines = ["| network | steps | accuracy | operations | simulation |", "|---|---|---|---|---|"]
    for title, row in rows.items():
        whole = row["whole"]
        results = [(f"all {whole['n_steps']}", {**whole, "accuracy": whole["accuracy"][-1]})]
        results += [
            (f"{each['mean_steps']:.2f}, at most {each['max_loss']:g} points lost", each) for each in row["rules"]
        ]
        for number, (steps, result) in enumerate(results):
            ratio = result["synaptic_operations"] / whole["synaptic_operations"]
            name = f"{title}, {row['images']:,} test images" if number == 0 else ""
            accuracy, seconds = f"{100 * result['accuracy']:.2f} %", f"{result['seconds']:.1f} s"
            lines.append(f"| {name} | {steps} | {accuracy} | {100 * ratio:.0f} % | {seconds} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

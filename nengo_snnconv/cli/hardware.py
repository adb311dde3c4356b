"""The command check-hardware: whether a network fits on a chip."""

from ..analysis.chips import CHIPS
from .evaluation import load_network
from .files import check_distinct
from .options import add_command, add_network


def add_check_hardware(commands):
    """Add the command check-hardware."""
    description = (
        "Compare the layers of a network with the published resources of neuromorphic chips: neurons, synapses, "
        "memory, and kinds of layers and neurons. What does not fit is listed with what would make it fit. The exit "
        "code is 1 if the network does not fit on one of the chips, else 0."
    )
    summary = "check whether a network fits on a chip"
    parser = add_command(commands, "check-hardware", check_hardware, summary, description, seed=None)
    add_network(parser, "'convert' or 'train'")
    parser.add_argument("chips", nargs="+", type=str.lower, choices=CHIPS, metavar="CHIP", help=", ".join(CHIPS))


def check_hardware(options):
    """Run the command check-hardware, and return its results."""
    from ..analysis.hardware import check_hardware as check

    check_distinct(options, network=options.network, json=options.json)
    network, results = load_network(options.network, options.seed), {}
    for number, chip in enumerate(dict.fromkeys(options.chips)):
        found = check(network, chip)
        print("\n" * (number > 0) + found.summary())
        results[chip] = found.to_dict()
    refused = [chip for chip, result in results.items() if not result["fits"]]
    return {"command": "check-hardware", "network": str(options.network), "chips": results, "refused": refused}

"""The command export: a saved network as a NIR file."""

import pathlib

from .._util.text_tables import summary_line
from .argument_types import above_zero
from .evaluation import load_network
from .files import check_distinct, check_writable
from .options import add_command, add_network


def add_export(commands):
    """Add the command export."""
    summary = "write a network as a NIR file, for other simulators and for chips"
    description = (
        "Write a spiking network in the Neuromorphic Intermediate Representation (NIR), which SpikingJelly, snnTorch, "
        "Norse, sinabs and the tools of chips read. 'evaluate' reads such files, too."
    )
    parser = add_command(commands, "export", export, summary, description, seed=None)
    add_network(parser)
    parser.add_argument("output", type=pathlib.Path, metavar="FILE.nir", help="file to write")
    parser.add_argument(
        "--step",
        type=above_zero,
        default=0.001,
        metavar="SECONDS",
        help="length of a step in the simulator that will read the file: 1e-4 for SpikingJelly and snnTorch, 1e-3 for "
        "Norse, 1 for sinabs",
    )
    parser.add_argument(
        "--average-pool",
        choices=("AvgPool2d", "Conv2d"),
        default="AvgPool2d",
        help="node for average pooling: Norse and sinabs read no AvgPool2d",
    )


def export(options):
    """Run the command export, and return its results."""
    from .. import write_nir
    from ..networks.nir_form import lost_in_nir

    check_distinct(options, network=options.network, output=options.output, json=options.json)
    check_writable(options.output)
    network = load_network(options.network, options.seed)
    write_nir(network, options.output, dt=options.step, average_pool=options.average_pool)
    print(summary_line("NIR file", options.output))
    lost = lost_in_nir(network)
    for remark in lost:
        print(summary_line("not in NIR", remark))
    return {"command": "export", "network": str(options.network), "output": str(options.output), "lost": lost}

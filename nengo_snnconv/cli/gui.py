"""The command gui: a saved network in Nengo GUI."""

import pathlib
import re
import tempfile

from .._util.text_tables import summary_line
from .argument_types import positive
from .data import add_data, add_input_range, naming_data
from .files import check_distinct
from .options import add_command, add_network


def add_gui(commands):
    """Add the command gui."""
    summary = "run a converted network in Nengo GUI, and watch images, spikes and class scores"
    description = (
        "Open a converted network in Nengo GUI, in a web browser: the image, sliders that choose its class and one "
        "image of that class, spikes, and class scores. The network runs on nengo's simulator. Control-C, or closing "
        "the last browser page, ends the command."
    )
    parser = add_command(commands, "gui", gui, summary, description, seed=None)
    add_network(parser)
    add_data(parser, "; its test images are shown")
    add_input_range(parser)
    parser.add_argument("--examples", type=positive, default=10, metavar="N", help="number of images of each class")
    parser.add_argument(
        "--write-script",
        type=pathlib.Path,
        metavar="FILE.py",
        help="write a script for 'nengo FILE.py' and its layout, FILE.py.cfg, instead of starting the GUI",
    )
    parser.add_argument("--port", type=positive, help="port of the server (default: the first free one from 8080)")
    parser.add_argument("--no-browser", action="store_true", help="print the address without opening a browser")


def gui(options):
    """Run the command gui, and return its results."""
    from ..gui import write_gui_script
    from ..gui.server import serve

    for name, given in (("port", options.port is not None), ("no-browser", options.no_browser)):
        if given and options.write_script:
            options.wrong_usage(f"--{name} does not apply with --write-script, which starts no server")
    check_distinct(options, network=options.network, script=options.write_script, json=options.json)

    def write(path):
        with naming_data(options):
            write_gui_script(
                path,
                options.network,
                options.data,
                examples=options.examples,
                seed=options.seed,
                input_range=options.input_range and tuple(options.input_range),
                scale=options.scale,
                class_names=options.class_names,
            )

    results = {"command": "gui", "network": str(options.network), "data": options.data, "script": None}
    if options.write_script:
        write(options.write_script)
        print(summary_line("script", f"{options.write_script}, with its layout {options.write_script}.cfg"))
        print(summary_line("start it with", f"nengo {options.write_script}"))
        return {**results, "script": str(options.write_script)}
    with tempfile.TemporaryDirectory(prefix="nengo-snnconv-") as folder:
        # Nengo GUI shows the name of the script as HTML, so it must hold no special characters
        name = re.sub(r"\W+", "-", options.network.name.split(".")[0], flags=re.ASCII).strip("-") or "network"
        script = pathlib.Path(folder) / f"{name}.py"
        write(script)
        serve(script, options.port, not options.no_browser)
    return results

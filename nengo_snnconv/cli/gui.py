"""The command gui: a saved network in Nengo GUI."""

import pathlib
import re
import tempfile

from .options import add_command, add_data, add_input_range, check_distinct, positive


def add_gui(commands):
    summary = "open a converted network in Nengo GUI: look at images, spikes and class scores while it runs"
    description = (
        "Open a converted network in Nengo GUI, in a web browser: the image, sliders for its class and for which one "
        "of that class, spikes, and class scores. It runs on nengo's own simulator. Control-C ends it, and so does "
        "closing its last page."
    )
    parser = add_command(commands, "gui", gui, summary, description, seed=None)
    parser.add_argument("network", type=pathlib.Path, help="file that 'convert' or nengo_snnconv.save wrote")
    add_data(parser, "; its test images are shown")
    add_input_range(parser)
    parser.add_argument(
        "--examples", type=positive, default=10, metavar="N", help="images of each class to choose from"
    )
    parser.add_argument(
        "--write-script",
        type=pathlib.Path,
        metavar="FILE.py",
        help="start nothing, but write a script for 'nengo FILE.py', and its layout FILE.py.cfg",
    )
    parser.add_argument("--port", type=positive, help="of the server (default: the first that is free from 8080 up)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address, do not open it")


def gui(options):
    """The ``gui`` command."""
    from ..gui import write_gui_script
    from ..gui.server import serve

    for name, given in (("port", options.port is not None), ("no-browser", options.no_browser)):
        if given and options.write_script:
            options.wrong_usage(f"--{name} does not go with --write-script, which starts nothing")
    check_distinct(options, network=options.network, script=options.write_script, json=options.json)

    def write(path):
        write_gui_script(
            path,
            options.network,
            options.data,
            examples=options.examples,
            seed=options.seed,
            input_range=options.input_range and tuple(options.input_range),
        )

    figures = {"command": "gui", "network": str(options.network), "data": options.data, "script": None}
    if options.write_script:
        write(options.write_script)
        print(f"{'script':<26} {options.write_script}, its layout beside it")
        print(f"{'start it with':<26} nengo {options.write_script}")
        return {**figures, "script": str(options.write_script)}
    with tempfile.TemporaryDirectory(prefix="nengo-snnconv-") as folder:
        # Nengo GUI shows the name of the script, as HTML
        name = re.sub(r"\W+", "-", options.network.name.split(".")[0], flags=re.ASCII).strip("-") or "network"
        script = pathlib.Path(folder) / f"{name}.py"
        write(script)
        serve(script, options.port, not options.no_browser)
    return figures

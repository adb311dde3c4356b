"""Results of the fast simulator on every processor on which it was measured.

    python benchmarks/processors.py

writes the tables of docs/results/simulators-processors.json into README and the documentation again; benchmarks/
simulators.py adds the results of its processor there, in place of earlier ones of the same processor.
"""

import datetime
import json

import llvmlite.binding
from overview import ROOT, fill
from results import table_lines

from nengo_snnconv._util.atomic import atomic_write
from nengo_snnconv._util.system_info import processor

PATH = ROOT / "docs" / "results" / "simulators-processors.json"
# names of the other simulators in the table, and in the results
OTHERS = {
    "NengoDL's Layer": "nengo_dl, network of build_trainable",
    "NengoDL's Converter": "nengo_dl, network of its Converter",
    "SpikingJelly": "SpikingJelly",
    "dense products": "dense products alone",
}
# what a processor itself has, in the results of instruction sets
OWN = "this one"


def add(kind, values):
    """Add results of this processor, and publish those of all.

    Parameters
    ----------
    kind : "times_fast" or "microseconds"
        How many times as long others take, {network: {simulator: float}}; or microseconds per image and step of
        snc.Simulator, {type of processor for which it is compiled: {network: float}}.
    values : dict
    """
    results = json.loads(PATH.read_text()) if PATH.exists() else {}
    name = f"{processor()}, {llvmlite.binding.get_host_cpu_name()}"
    results.setdefault(name, {})[kind] = {"date": datetime.date.today().isoformat(), "values": values}
    with atomic_write(PATH, "w") as file:
        json.dump(results, file, indent=1)
        file.write("\n")
    publish_all(results)


def publish_all(results):
    """Write the tables of all processors into README and the documentation."""
    fill("simulators-processors", f"{ratio_table(results)}\n\n{microseconds_table(results)}\n")
    fill("simulators-processors-brief", f"{brief(results)}\n")


def of_kind(results, kind):
    """Return {processor: (date, values)} of those with results of a kind."""
    return {name: (found[kind]["date"], found[kind]["values"]) for name, found in results.items() if kind in found}


def ratio_table(results):
    """Return how many times as long others take as snc.Simulator, with a row for each processor, as Markdown."""
    found = of_kind(results, "times_fast")
    networks = list(next(iter(found.values()))[1])
    rows = {
        f"{name} ({date})": [
            " / ".join(f"{values[network][key]:.1f}" if key in values[network] else "-" for key in OTHERS.values())
            for network in networks
        ]
        for name, (date, values) in found.items()
    }
    title = (
        f"Time of {' / '.join(OTHERS)}, relative to snc.Simulator, by processor, with the name that LLVM gives it "
        "(`python benchmarks/simulators.py`):\n\n"
    )
    return title + "\n".join(table_lines(networks, rows))


def microseconds_table(results):
    """Return microseconds per image and step by processor and by the type for which it is compiled, as Markdown."""
    rows, networks = {}, []
    for name, (date, values) in of_kind(results, "microseconds").items():
        for compiled_for, times in values.items():
            networks = list(times)
            target = "its own" if compiled_for == OWN else compiled_for
            rows[f"{name} ({date}), {target}"] = [f"{times[network]:.1f}" for network in networks]
    title = (
        "Microseconds per image and step of snc.Simulator, by processor and the instructions for which it is compiled "
        "(`python benchmarks/simulators.py --cpu haswell`):\n\n"
    )
    return title + "\n".join(table_lines(networks, rows))


def brief(results):
    """Return a sentence with the range of the ratios over processors."""
    found = of_kind(results, "times_fast")
    networks = list(next(iter(found.values()))[1])
    key = next(iter(OTHERS.values()))
    ranges = []
    for network in networks:
        ratios = [values[network][key] for _, values in found.values()]
        ranges.append(f"{min(ratios):.1f} to {max(ratios):.1f} ({network})")
    return (
        f"Over all processors that were measured ({len(found)}), the ratio for {key} is {', '.join(ranges[:-1])} and "
        f"{ranges[-1]}: [by processor](docs/fast-simulator.md#processors)."
    )


if __name__ == "__main__":
    publish_all(json.loads(PATH.read_text()))

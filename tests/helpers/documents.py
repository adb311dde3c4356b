"""Code blocks of README and the documentation, and functions that run them on a small budget.

Blocks of a page run in order, in one namespace and one folder, as a reader would run them.
"""

import configparser
import dataclasses
import itertools
import pathlib
import re
import shlex

from packaging.requirements import Requirement

from nengo_snnconv import cli

ROOT = pathlib.Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)]

RUN = ("python", "console")
SHOWN = ("text", "bibtex")  # output, and text to copy
DIRECTIVES = ("toctree", "eval-rst", "command-line")

# packages that are no requirements, by the page whose code needs them
NEEDS = {"from-pytorch.md": ("torch", "onnx")}

# replacements that make Python code fast: (pattern, replacement)
SMALL = [
    (r'load_dataset\("[\w-]+"\)', 'load_dataset("digits", train=400, test=60)'),
    (r"\bepochs( ?= ?)\d+", r"epochs\g<1>1"),
    (r"\[:\d{3,}\]", "[:60]"),
    (r"\bn_steps=[48]\b", "n_steps=2"),
    (r"\bmax_loss=[\d.]+", "max_loss=100"),  # networks that have hardly been trained may lose anything
]
# options that make commands fast: set for all commands that have them, set only if given, and by command
SMALL_OPTIONS = {"--train-images": 100, "--test-images": 2, "--train-items": 40, "--test-items": 20, "--epochs": 1}
SMALL_IF_GIVEN = {"--steps": 2, "--stage-steps": 4, "--stop": 100}
SMALL_COMMANDS = {
    "gui": ["--write-script", "gui.py"],
    "compare": ["--batch-size", "20"],
    "train-cnn": ["--data", "digits"],
    "tune": ["--max-loss", "100", "--calibration-images", "60"],
}
# commands whose exit code is an answer: 1 is for a network that does not fit
EXIT_CODES = {"check-hardware": (0, 1)}
# data and models that need no download, in place of those that do; a page trains cnn.keras before it names the model
SMALL_SOURCES = {"mnist": "digits", "cifar-10": "digits", "airbench-cifar10": "cnn.keras"}


@dataclasses.dataclass(frozen=True)
class Block:
    """Fenced block of a page.

    Attributes
    ----------
    kind : str
        Language, or directive with braces; empty for neither.
    text : str
    line : int
        Number of its first line, from 1.
    """

    kind: str
    text: str
    line: int


def blocks_of(markdown):
    """Return the blocks of a page that are fenced by backticks, in order."""
    found, fence = [], None
    for number, line in enumerate(markdown.splitlines(), start=1):
        match = re.match(r"\s*(`{3,})(.*)", line)
        if fence is None and match:
            fence, kind, lines, first = match[1], match[2].strip().partition(" ")[0], [], number + 1
        elif fence is not None and match and match[1].startswith(fence) and not match[2].strip():
            found.append(Block(kind, "".join(f"{each}\n" for each in lines), first))
            fence = None
        elif fence is not None:
            lines.append(line)
    if fence is not None:
        raise AssertionError(f"the block in line {first} has no end")
    return found


def check_kinds(blocks):
    """Raise AssertionError for a block of an unknown kind."""
    known = {*RUN, *SHOWN, *(f"{{{name}}}" for name in DIRECTIVES)}
    for block in blocks:
        if block.kind not in known:
            raise AssertionError(
                f"line {block.line}: a block of kind {block.kind!r}; code is python or console, output is text"
            )


def run(path, blocks):
    """Run the blocks of a page in the current folder, and return the namespace of its Python code."""
    names = {"__name__": "__main__"}
    for block in blocks:
        if block.kind == "python":
            # errors then name the line of the page
            exec(compile("\n" * (block.line - 1) + small(block.text), str(path), "exec"), names)
        elif block.kind == "console":
            for command in block.text.replace("\\\n", " ").splitlines():
                run_command(command)
    return names


def small(code):
    """Return Python code with smaller data sets and fewer epochs."""
    for pattern, replacement in SMALL:
        code = re.sub(pattern, replacement, code)
    return code


def run_command(command):
    """Run a nengo-snnconv command on a small budget; check other commands without running them."""
    name, *arguments = shlex.split(command, comments=True) or [""]
    checks = {"nengo-snnconv": _run_ours, "make": _check_make, "pip": _check_pip, "python": _check_python, "": list}
    if name not in checks:
        raise AssertionError(
            f"there is no check for {command!r}: tests/helpers/documents.py has those of {', '.join(checks)}"
        )
    checks[name](arguments)


def _run_ours(arguments):
    name, *rest = arguments
    parser = cli.commands().get(name)
    if parser is not None:
        options = {option for action in parser._actions for option in action.option_strings}
        rest = [SMALL_SOURCES.get(argument, argument) for argument in rest]
        changes = {option: value for option, value in SMALL_OPTIONS.items() if option in options}
        changes |= {option: value for option, value in SMALL_IF_GIVEN.items() if option in rest}
        for option, value in changes.items():
            rest += [option, str(value)]
        rest += SMALL_COMMANDS.get(name, [])
    code = cli.main([name, *rest])
    if code not in EXIT_CODES.get(name, (0,)):
        raise AssertionError(f"nengo-snnconv {shlex.join(arguments)} ended with exit code {code}")


def _check_make(arguments):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for argument in arguments:
        variable, is_setting, _ = argument.partition("=")
        pattern = rf"^{re.escape(variable)} *[?:]?=" if is_setting else rf"^{re.escape(argument)}:"
        if not re.search(pattern, makefile, re.MULTILINE):
            raise AssertionError(f"the Makefile has no {argument}")


def _check_pip(arguments):
    if arguments[0] != "install":
        raise AssertionError(f"pip {arguments[0]} is not known here")
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    options = {"--constraint": (ROOT / "constraints").iterdir, "--find-links": lambda: [ROOT / "wheelhouse"]}
    for option, argument in itertools.pairwise(arguments):
        if option in options:
            if ROOT / argument not in options[option]():
                raise AssertionError(f"there is no {argument}")
            continue
        if argument.startswith("-"):
            continue
        requirement = Requirement(argument.replace(".", "nengo_snnconv", 1) if argument.startswith(".") else argument)
        missing = requirement.extras - set(setup["options.extras_require"])
        if requirement.name == "nengo_snnconv" and missing:
            raise AssertionError(f"setup.cfg has no extra {', '.join(missing)}")


def _check_python(arguments):
    if arguments[0] != "-m" and not (ROOT / arguments[0]).exists():
        raise AssertionError(f"there is no {arguments[0]}")

"""The directive ``command-line``: all commands of ``nengo-snnconv`` with their options, taken from the parser."""

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from nengo_snnconv import cli

# options of every command, which the page describes once
EVERYWHERE = ("help", "json", "debug")


class CommandLine(SphinxDirective):
    """A section for each command with its description and its arguments."""

    def run(self):
        return [self._section(name, parser) for name, parser in cli.commands().items()]

    def _section(self, name, parser):
        section = nodes.section(ids=[f"command-{name}"], names=[name])
        section += nodes.title(name, name)
        section += nodes.paragraph("", parser.description)
        rows = nodes.definition_list()
        for action in parser._actions:
            if action.dest in EVERYWHERE:
                continue
            rows += nodes.definition_list_item(
                "", nodes.term("", "", nodes.literal("", self._form(parser, action))), self._help(parser, action)
            )
        section += rows
        return section

    @staticmethod
    def _form(parser, action):
        """Return an argument as it is written: ``--steps N``, or the name of a positional argument."""
        formatter = parser._get_formatter()
        if not action.option_strings:
            return action.dest
        if action.nargs == 0:
            return ", ".join(action.option_strings)
        value = formatter._format_args(action, formatter._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"

    @staticmethod
    def _help(parser, action):
        return nodes.definition("", nodes.paragraph("", parser._get_formatter()._expand_help(action)))


def setup(app):
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True}

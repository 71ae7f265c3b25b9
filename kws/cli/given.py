"""What stands on the command line, as against what is so by default."""

from __future__ import annotations

import typer


def given(context: typer.Context) -> list[str]:
    """Parameters that stand on the command line."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]

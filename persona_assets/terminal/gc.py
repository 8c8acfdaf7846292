"""The command `gc`: the files that a project can do without, listed and then removed."""

import argparse

from persona_assets.assets.graph import project_assets, table_contracts
from persona_assets.catalog.catalog import Catalog
from persona_assets.diagnosis.leftovers import find_leftovers, remove
from persona_assets.number_format import plural
from persona_assets.orchestration.instance import existing_instance
from persona_assets.orchestration.run_history import require_no_runs
from persona_assets.plots.pictures import clean_label
from persona_assets.project import Project
from persona_assets.settings import Settings
from persona_assets.terminal.figures import OUT, figure_table

LOG_DAYS = 30
"""Days that the output of steps is kept by default."""

_MOST = 300


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of a parser."""
    parser = commands.add_parser(
        "gc", help="list files that nothing reads; --yes removes them; paid responses always stay"
    )
    parser.add_argument("--yes", action="store_true", help="remove what is listed")
    parser.add_argument(
        "--orphans",
        action="store_true",
        help="also tables of assets that the project no longer has, such as a removed task",
    )
    parser.add_argument(
        "--log-days",
        type=int,
        default=LOG_DAYS,
        metavar="N",
        help=f"keep the output of steps for N days (default: {LOG_DAYS})",
    )
    parser.set_defaults(command=_gc)


def _gc(options: argparse.Namespace) -> int:
    project = Project(Settings.load())
    if options.yes and (instance := existing_instance(project.settings)):
        # A model that was just trained has no table yet.
        with instance:
            require_no_runs(instance)
    assets = project_assets(project)
    leftovers = find_leftovers(
        project,
        assets.keys(),
        log_days=options.log_days,
        orphans=options.orphans,
    )
    table = figure_table("path", "reason", "MB", left=2)
    for leftover in leftovers:
        path = leftover.path.relative_to(project.settings.data_dir)
        table.add_row(
            clean_label(str(path), _MOST), leftover.reason, f"{leftover.bytes / 1e6:,.1f}"
        )
        if options.yes:
            remove(leftover)
    if leftovers:
        OUT.print(table, markup=False)
    total = f"{sum(each.bytes for each in leftovers) / 1e6:,.1f} MB"
    count = plural(len(leftovers), "leftover")
    if options.yes and leftovers:
        if options.orphans:
            Catalog(project.storage, table_contracts(assets)).rebuild()
        OUT.print(f"{count} removed, {total}")
    else:
        OUT.print(f"{count}, {total}{': --yes removes them' if leftovers else ''}")
    return 0

"""The command `persona-assets`: the graph and the Dagster instance of the UI, in a terminal."""

import argparse
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import get_args

import dagster as dg
from dotenv import load_dotenv

from persona_assets.assets.graph import call_bounds, project_assets, table_contracts
from persona_assets.catalog.catalog import Catalog, CatalogError
from persona_assets.definitions import build_defs
from persona_assets.diagnosis.program import require_free_port, require_own_modules
from persona_assets.generation import EndpointError, JournalBusy, JournalCorrupt
from persona_assets.local_models.embedder import EmbedderError
from persona_assets.local_models.server import LocalServerError
from persona_assets.local_models.weights import WeightsError
from persona_assets.orchestration.instance import fail_dead_runs, open_instance, register_partitions
from persona_assets.orchestration.runner import PLACED, Runner
from persona_assets.partitions import training_sizes
from persona_assets.planning import cost
from persona_assets.planning.plan import make_plan
from persona_assets.planning.probe_forecast import forecast_probes
from persona_assets.planning.shutdowns import shutdown_notes
from persona_assets.planning.trial import try_task
from persona_assets.profiles import PROFILES
from persona_assets.project import Project
from persona_assets.prompting.front_matter import HUB
from persona_assets.prompting.run_prompt import RETRIED
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.resources.models import Models
from persona_assets.scaffold.new_project import create_project
from persona_assets.scaffold.new_task import create_task
from persona_assets.scaffold.shipped_files import shipped_file
from persona_assets.settings import Settings
from persona_assets.terminal import (
    console,
    doctor,
    explore,
    gc,
    publish,
    report,
    reports,
    validity,
    withdraw,
)
from persona_assets.terminal.figures import printable
from persona_assets.terminal.row_lines import RowLines
from persona_assets.terminal.spending import agree_to_forecast, asks_first
from persona_assets.training.training_run import TrainingRun

MISTAKES = (
    CatalogError,
    EmbedderError,
    EndpointError,
    LocalServerError,
    WeightsError,
    JournalBusy,
    JournalCorrupt,
    # Settings, prompts, benchmark, shard names: each module's own kind of ValueError.
    ValueError,
    OSError,
)
"""Errors that a user can correct: printed as one sentence, without a traceback."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Command line; None for that of the process.

    Returns:
        Exit code: 0, 1 for a failure, 130 for an interrupt, 143 for a SIGTERM.
    """
    options = _parser().parse_args(arguments)
    load_dotenv(Path(".env"))
    with _interruptible() as terminated:
        try:
            return int(options.command(options))
        except MISTAKES as error:
            print(f"persona-assets: {printable(' '.join(str(error).split()))}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            message = "interrupted; what was paid for is in the journals"
            print(f"persona-assets: {message}", file=sys.stderr)
            return 143 if terminated() else 130


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Let SIGTERM interrupt as Ctrl-C does.

    While it executes a run, Dagster replaces these handlers, and afterwards it gives SIGTERM the
    handler of SIGINT. Handlers then do not tell the two signals apart; the wakeup file does.

    Yields:
        A function that returns True if a SIGTERM has arrived.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    numbers, wakeup = socket.socketpair()
    with numbers, wakeup:
        for end in (numbers, wakeup):
            end.setblocking(False)

        def terminated() -> bool:
            try:
                return signal.SIGTERM in numbers.recv(4096)
            except BlockingIOError:
                return False

        before = signal.set_wakeup_fd(wakeup.fileno(), warn_on_full_buffer=False)
        handlers = {
            number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield terminated
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler or signal.SIG_DFL)
            signal.set_wakeup_fd(before)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="persona-assets", description=__doc__)
    commands = parser.add_subparsers(required=True)

    init = commands.add_parser("init", help="write a new project into a folder")
    init.add_argument("folder", type=Path, metavar="FOLDER", help="made if it does not exist")
    init.add_argument(
        "--profile",
        choices=list(PROFILES),
        default="current",
        help="profile of its settings; demo needs neither a key nor a GPU (default: current)",
    )
    init.set_defaults(command=_init)

    task = commands.add_parser("new-task", help="write the commented file of a new task")
    task.add_argument("name", metavar="NAME", help="name of the task and of its table")
    task.add_argument(
        "--from", dest="source", metavar="TASK", default=HUB, help="make rows from its samples"
    )
    task.add_argument(
        "--personas", type=int, choices=(1, 2), default=1, help="number of personas of a row"
    )
    task.add_argument("--turns", type=int, metavar="N", help="a conversation of N messages")
    task.set_defaults(command=_new_task)

    run = commands.add_parser("run", help="materialize what is missing or stale, in order")
    _add_selection(run)
    run.set_defaults(command=_run)

    planned = commands.add_parser("plan", help="forecast what a run would ask, cost and take")
    _add_selection(planned)
    planned.add_argument("--json", action="store_true", help="print one JSON object")
    planned.set_defaults(command=_plan)

    trial = commands.add_parser("try", help="make the first rows of a task and print them")
    trial.add_argument("task", help="name of a file in prompts/tasks, without .md")
    trial.add_argument("-n", "--number", type=int, default=10, help="number of rows (default: 10)")
    trial.set_defaults(command=_try)

    validity.add_command(commands)

    spent = commands.add_parser("cost", help="list what was asked and what it cost")
    spent.add_argument("--by", choices=get_args(cost.GroupBy), default="asset")
    spent.add_argument("--run", metavar="ID", help="only this run")
    spent.set_defaults(command=_cost)

    status = commands.add_parser("status", help="list what is missing or stale now, and why")
    status.set_defaults(command=_status, select="*", shards=[], sizes="", retry=[])

    withdraw.add_command(commands)

    trace = commands.add_parser("trace", help="print where a row came from, back to its text")
    trace.add_argument("id", help="id of a text, persona, sample or solution")
    trace.set_defaults(command=_trace)

    published = commands.add_parser(
        "publish", help="write a dataset with its card for others, and upload it"
    )
    publish.add_arguments(published)
    published.set_defaults(command=_publish)

    reported = commands.add_parser("report", help="write one HTML file on all that was made")
    report.add_arguments(reported)
    reported.set_defaults(command=_report)

    explored = commands.add_parser(
        "explore", help="serve a page to search personas and follow rows, on 127.0.0.1"
    )
    explore.add_arguments(explored)
    explored.set_defaults(command=_explore)

    catalog = commands.add_parser("catalog", help="make catalog.duckdb anew from the tables")
    catalog.set_defaults(command=_catalog)

    doctor.add_command(commands)
    gc.add_command(commands)

    fetch = commands.add_parser("fetch", help="fetch and verify the embedded models in use")
    fetch.set_defaults(command=_fetch)

    refit = commands.add_parser("refit", help="fit the map of the hub anew and place all personas")
    refit.add_argument(
        "--clusters", type=int, metavar="N", help="number of clusters; by the size of the hub"
    )
    refit.set_defaults(command=_refit)

    ui = commands.add_parser("ui", help="serve the Dagster UI, daemon included, on 127.0.0.1")
    ui.add_argument("--port", type=int, default=3000)
    ui.set_defaults(command=_ui)
    return parser


def _add_selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--select", default="*", help="Dagster asset selection, such as +key:persona_hub"
    )
    parser.add_argument(
        "--shards", nargs="+", default=[], metavar="SHARD", help="only these shards"
    )
    parser.add_argument(
        "--sizes",
        default="",
        metavar="N,N",
        help="only these training sizes, of all seeds, such as 8,16, or single trainings: 8-seed-2",
    )
    parser.add_argument(
        "--retry",
        nargs="+",
        default=[],
        choices=RETRIED,
        metavar="OUTCOME",
        help=f"ask again the rows that were dropped for an outcome: {', '.join(RETRIED)}",
    )


def _init(options: argparse.Namespace) -> int:
    written = create_project(options.folder, options.profile)
    print(f"{len(written)} files in {options.folder}: read {options.folder / 'README.md'} first")
    return 0


def _new_task(options: argparse.Namespace) -> int:
    prompts = Project(Settings.load()).prompts
    path = create_task(
        prompts,
        options.name,
        source=options.source,
        personas=options.personas,
        turns=options.turns,
    )
    try:
        project_assets(Project(Settings.load()))
    except ValueError:
        # A number of turns or a name that the graph refuses.
        path.unlink()
        raise
    print(f"{path}: edit it, then persona-assets try {options.name}")
    return 0


def _run(options: argparse.Namespace) -> int:
    settings = Settings.load()
    project = Project(settings)
    project.storage.check_space()
    models = Models(settings, project.storage)
    # Calls that ended in an error are not settled, and sent again by any run of their table.
    models.retry = {outcome for outcome in options.retry if outcome != "error"}
    with closing(models), open_instance(settings) as instance:
        rows = RowLines()
        runner, notes = _runner(project, instance, options, models, rows)
        console.print_notes(notes)
        if runner.anything_stale():
            told = _of_sizes(project, runner)
            bounds = call_bounds(told, runner.shards, ready_shards=runner.ready_shards)
            most = bounds.all_calls()
            chosen = {name: most[name] for name in runner.selected if name in most}
            roles = _roles_in_use(project, chosen)
            console.print_notes(shutdown_notes(settings, date.today(), roles))
            models.check(roles, waiting=lambda sentence: console.print_notes([sentence]))
            asking = [name for name, bound in chosen.items() if bound != 0]
            probes = forecast_probes(project, asking)
            console.print_forecast(chosen, runner.shards, settings, probes)
            if roles and asks_first(settings):
                forecast = make_plan(told, runner).total
                models.agreed = agree_to_forecast(forecast, settings)
        ledger = console.run_with_progress(runner, models, rows)
    catalog = _catalog_of(project)
    if ledger.errors or not catalog.path.exists():
        # A failed run has journaled its calls and published no table.
        cost.refresh_catalog(catalog, project.storage)
    console.print_tables(project, ledger, catalog.usage(ledger.run_ids))
    return 1 if ledger.errors else 0


def _plan(options: argparse.Namespace) -> int:
    settings = Settings.load()
    project = Project(settings)
    with open_instance(settings) as instance:
        runner, notes = _runner(project, instance, options)
        found = make_plan(_of_sizes(project, runner), runner)
        is_stale = runner.anything_stale()
    if options.json:
        reports.print_plan_json(found, notes)
    else:
        console.print_notes(notes)
        reports.print_plan(found, settings, is_stale=is_stale)
        console.print_notes(shutdown_notes(settings, date.today()))
    return 0


def _try(options: argparse.Namespace) -> int:
    settings = Settings.load()
    project = Project(settings)
    with closing(Models(settings, project.storage)) as models:
        console.print_trial(
            try_task(project, models, options.task, max(1, options.number), lambda _: None)
        )
    return 0


def _cost(options: argparse.Namespace) -> int:
    settings = Settings.load()
    project = Project(settings)
    catalog = _catalog_of(project)
    cost.refresh_catalog(catalog, project.storage)
    rows = cost.usage_by(catalog, options.by, options.run)
    with open_instance(settings) as instance:
        caps = cost.caps_in_use(settings, project.storage, instance, options.run)
    reports.print_cost(rows, options.by, caps)
    return 0


def _status(options: argparse.Namespace) -> int:
    settings = Settings.load()
    with open_instance(settings) as instance:
        runner, notes = _runner(Project(settings), instance, options)
        console.print_notes(notes)
        console.print_status(runner)
    console.print_notes(shutdown_notes(settings, date.today()))
    return 0


def _trace(options: argparse.Namespace) -> int:
    chain = _catalog_of(Project(Settings.load())).trace(options.id)
    console.print_trace(chain)
    return 0


def _publish(options: argparse.Namespace) -> int:
    project = Project(Settings.load())
    return publish.run(project, _catalog_of(project), options)


def _report(options: argparse.Namespace) -> int:
    return report.run(Project(Settings.load()), options)


def _explore(options: argparse.Namespace) -> int:
    if options.refit and (failed := _refit(argparse.Namespace(clusters=None))):
        return failed
    project = Project(Settings.load())
    if any((project.storage.data_dir / "tables").rglob("*.parquet")):
        cost.refresh_catalog(_catalog_of(project), project.storage)
    return explore.run(project, options.host, options.port)


def _catalog(_: argparse.Namespace) -> int:
    catalog = _catalog_of(Project(Settings.load()))
    print(f"{catalog.rebuild()} tables in {catalog.path}")
    return 0


def _fetch(_: argparse.Namespace) -> int:
    for path in Models.fetch(Settings.load(), print):
        print(path)
    return 0


def _catalog_of(project: Project) -> Catalog:
    return Catalog(project.storage, table_contracts(project_assets(project)))


def _runner(
    project: Project,
    instance: dg.DagsterInstance,
    options: argparse.Namespace,
    models: Models | None = None,
    rows: RowLines | None = None,
) -> tuple[Runner, list[str]]:
    """Return the runner of a command's selection, and notes on the corpus and on waiting tables.

    Args:
        project: Settings and prompts.
        instance: Dagster instance of the project.
        options: Selection, shards, sizes and outcomes to ask again.
        models: Replace those of the definitions.
        rows: Shows a row of each table that is made.

    Raises:
        FileNotFoundError: The corpus has no shard.
    """
    settings = project.settings
    corpus = Corpus.of(settings)
    arrivals = register_partitions(instance, settings, corpus, project.storage)
    arrivals.files.check()
    fail_dead_runs(instance)
    show_table = rows.show_table if rows else None
    defs = build_defs(settings, show_table, **({"models": models} if models else {}))
    only, sizes = options.shards, options.sizes.replace(",", " ").split()
    runner = Runner(
        defs,
        instance,
        project.storage,
        corpus,
        select=options.select,
        only=only,
        sizes=sizes,
        retry=options.retry,
    )
    waiting = [
        f"{name} is left out until training size {', '.join(missing)} is evaluated"
        for name, missing in runner.waiting().items()
    ]
    return runner, [*arrivals.notes(only), *waiting]


def _of_sizes(project: Project, runner: Runner) -> Project:
    """Return the project with the trainings of a runner alone, for bounds on its calls."""
    keys = runner.keys(str(training_sizes.name))
    # Bounds count trainings: a size as often as it has seeds.
    sizes = tuple(TrainingRun.of_key(str(key)).size for key in keys)
    changed = {"training_sizes": sizes, "training_seeds": None}
    return Project(project.settings.model_copy(update=changed))


def _roles_in_use(project: Project, calls: Mapping[str, int | None]) -> set[str]:
    """Return the roles that assets ask: embedded models too, which no bound on calls counts.

    Args:
        project: Settings and prompts.
        calls: Most calls by asset.
    """
    assets = project_assets(project)
    return {
        role
        for name, most in calls.items()
        for role in assets[name].roles(project)
        if most != 0 or project.settings.endpoint(role).embedded
    }


def _refit(options: argparse.Namespace) -> int:
    settings = Settings.load()
    project = Project(settings)
    project.storage.check_space()
    models = Models(settings, project.storage)
    with closing(models), open_instance(settings) as instance:
        placed = argparse.Namespace(
            select=" or ".join(f"key:{name}" for name in PLACED), shards=[], sizes="", retry=[]
        )
        rows = RowLines()
        runner, notes = _runner(project, instance, placed, models, rows)
        by_cluster = [
            name
            for name, task in project.settings.tasks.items()
            if "cluster" in (task.stratify or ())
        ]
        if by_cluster:
            notes.append(f"the next run of {', '.join(by_cluster)} may ask other personas")
        console.print_notes(notes)
        fitted = runner.refit_map(options.clusters)
        if fitted.error:
            print(f"persona-assets: {fitted.error}", file=sys.stderr)
            return 1
        ledger = console.run_with_progress(runner, models, rows)
    console.print_tables(project, ledger, _catalog_of(project).usage(ledger.run_ids))
    return 1 if ledger.errors else 0


def _ui(options: argparse.Namespace) -> int:
    settings = Settings.load()
    require_free_port(options.port)
    require_own_modules(Path.cwd())
    open_instance(settings).dispose()
    own = Path("workspace.yaml")
    # The folder may hold another Dagster project.
    is_ours = own.is_file() and "persona_assets.definitions" in own.read_text("utf-8", "replace")
    workspace_file = own if is_ours else shipped_file("workspace.yaml")
    dagster = str(Path(sys.executable).with_name("dagster"))
    # Loopback only: the UI has no authentication, and whoever reaches it can start runs.
    address = ["--host", "127.0.0.1", "--port", str(options.port)]
    sys.stdout.flush()
    os.execv(dagster, [dagster, "dev", "--workspace", str(workspace_file), *address])


if __name__ == "__main__":
    sys.exit(main())

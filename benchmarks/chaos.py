"""One backfill under faults: killed workers, daemons and webserver, a host crash, an endpoint away.

    python benchmarks/chaos.py --shards 60
    python benchmarks/chaos.py --shards 3 --faults worker=1

Launches a backfill once, through the webserver, and makes the faults while it is under way; a
service manager starts the services again. The tables are compared with those of an undisturbed run
of the same texts. Prints a JSON object per fault and one for all, and fails unless every row is
there, the backfill ended well, and no more calls were paid twice than were in flight.

Figures:
    fault: worker (SIGKILL of the process of a run), daemon, webserver, host (SIGKILL of all
        processes of the project at once), endpoint (no connection for --away seconds); all: the
        whole backfill.
    seen: What Dagster recorded of it: messages of failed runs, with their number.
    rows_lost: Rows of the undisturbed run that the shards hit do not have; in the end, all shards.
    calls_repeated: Calls that were paid for twice, between this fault and the next.
    seconds_to_recover: Seconds from the fault (endpoint: from its return) to the next paid answer;
        of a worker or the host to the next start of a run for the same shards.
    most_repeated: Bound on repeated calls: calls that were in flight at the faults.
    tables, equal: Tables of the undisturbed run, and those of the same data version.
    backfill: Status of the backfill in the end.
    launches: Number of times that a person launched it.
    retried: Runs that were started again without hands.
    seconds: Seconds of the backfill.
"""

import argparse
import os
import random
import re
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from chaos_services import Services
from figures import print_figures

from persona_assets.asset_names import asset_key
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import CANARY, KEY_VARIABLE, SampleProject

ASSETS = "+key:lexical_duplicates"
FAULTS = {"worker": 10, "daemon": 2, "webserver": 1, "host": 1, "endpoint": 1}
CALLS = 7
"""Calls of a shard: a text's persona, and six hops."""
LATENCY = 0.3
"""Seconds per answer, so that faults meet calls in flight."""
CONCURRENCY = 4
BOOT = 5.0
"""Seconds until the services of a crashed host start again."""
ENDED = {"COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED", "COMPLETED"}

LAUNCH = """mutation ($assets: [AssetKeyInput!]!) {
  launchPartitionBackfill(backfillParams: {assetSelection: $assets, allPartitions: true}) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}"""
STATUS = """query ($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } }
}"""


@dataclass
class Fault:
    """A fault that was made.

    Attributes:
        time: Unix time of the fault; of an endpoint's return.
        shards: Shards of the runs that were under way.
        in_flight: Most calls that the processes it hit had in flight.
    """

    kind: str
    time: float = 0.0
    shards: set[str] = field(default_factory=set)
    in_flight: int = 0


class TimedServer(ModelServer):
    """Server that notes when each call was billed."""

    def __init__(self, *, latency: float = 0.0) -> None:
        super().__init__(latency=latency)
        self.billed_at: list[tuple[float, str]] = []

    def step(self, message: str, body: dict[str, Any]) -> str:
        number = len(self.keys)
        step = super().step(message, body)
        self.billed_at += [(time.time(), key) for _, key in self.keys[number:]]
        return step


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shards", type=int, default=60)
    parser.add_argument(
        "--faults",
        nargs="*",
        default=[f"{kind}={number}" for kind, number in FAULTS.items()],
        help="kinds with their numbers, such as worker=1",
    )
    parser.add_argument("--away", type=float, default=60.0, help="seconds without the endpoint")
    parser.add_argument("--minutes", type=float, default=15.0, help="limit of the backfill")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.environ.setdefault(KEY_VARIABLE, CANARY)
    kinds = [
        kind
        for kind, _, number in (text.partition("=") for text in options.faults)
        for _ in range(int(number or 1))
    ]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with TimedServer() as own, TimedServer(latency=LATENCY) as server:
            usual = make_project(root / "usual", own, options.shards)
            project = make_project(root / "disturbed", server, options.shards)
            undisturbed = usual.command("run", "--select", ASSETS)
            chaos = Chaos(project, server, random.Random(options.seed), options.away)
            chaos.run(kinds, CALLS * options.shards, 60.0 * options.minutes)
            _, error = undisturbed.communicate()
            if undisturbed.returncode:
                raise SystemExit(error)
            print_results(chaos, usual, len(own.keys))


def make_project(root: Path, server: ModelServer, shards: int) -> SampleProject:
    """Make a project with a text per shard."""
    project = SampleProject(root, server)
    for number in range(shards):
        project.write(f"{number:03}.txt", [f"A letter about the ferry of pier {number}."])
    project.values |= {
        role: {**project.values[role], "concurrency": CONCURRENCY, "max_attempts": 6}
        for role in ("writer", "embedder")
    }
    return project


class Chaos:
    """A backfill with faults.

    Attributes:
        faults: Faults made so far.
        status: Status of the backfill.
        seconds: Seconds from its launch to its end.
    """

    def __init__(
        self, project: SampleProject, server: TimedServer, chance: random.Random, away: float
    ) -> None:
        self.project = project
        self.server = server
        self.faults: list[Fault] = []
        self.status = ""
        self.seconds = 0.0
        self._chance = chance
        self._away = away

    def run(self, kinds: list[str], calls: int, limit: float) -> None:
        """Launch the backfill, make the faults at equal distances of calls, wait for its end."""
        self._chance.shuffle(kinds)
        points = [int(calls * (n + 0.5) / (len(kinds) + 0.5)) for n in range(len(kinds))]
        with self.project.instance() as instance:
            # A paid endpoint takes more than a run at a time.
            file = Path(instance.root_directory, "dagster.yaml")
            file.write_text(file.read_text().replace("default_limit: 1", "default_limit: 4"))
            names = [asset_key(name) for name in self._assets()]
        home = str(self.project.data.resolve() / "dagster_home")
        environment = self.project.environment(DAGSTER_HOME=home)
        with Services(environment, self.project.root / "services.log") as services:
            launched = self._launch(services, names)
            began = time.time()
            for kind, point in zip(kinds, points, strict=True):
                while len(self.server.billed_at) < point and not self._ended(services, launched):
                    self._wait(began, limit)
                if self.status in ENDED:
                    break
                self._make(kind, services)
            while not self._ended(services, launched):
                self._wait(began, limit)
            self.seconds = time.time() - began

    def _assets(self) -> list[str]:
        with self.project.runner(ASSETS) as runner:
            return runner.selected

    def _launch(self, services: Services, keys: list[dg.AssetKey]) -> str:
        assets = [{"path": list(key.path)} for key in keys]
        while (answer := services.ask(LAUNCH, assets=assets)) is None:
            time.sleep(0.5)
        return str(answer["launchPartitionBackfill"]["backfillId"])

    def _ended(self, services: Services, backfill: str) -> bool:
        answer = services.ask(STATUS, id=backfill)
        if answer is not None:
            self.status = answer["partitionBackfillOrError"]["status"]
        return self.status in ENDED

    def _wait(self, began: float, limit: float) -> None:
        if time.time() - began > limit:
            log = (self.project.root / "services.log").read_text("utf-8", "replace")
            raise SystemExit(f"no end within {limit:.0f} s, status {self.status}\n{log[-5000:]}")
        time.sleep(0.5)

    def _make(self, kind: str, services: Services) -> None:
        """Make a fault: of a worker as soon as there is any."""
        workers = services.workers()
        while kind == "worker" and not workers:
            time.sleep(0.1)
            workers = services.workers()
        fault = Fault(kind, time.time(), self._under_way())
        self.faults.append(fault)
        match kind:
            case "worker":
                fault.in_flight = CONCURRENCY
                os.kill(self._chance.choice(workers), 9)
            case "host":
                fault.in_flight = CONCURRENCY * len(workers)
                services.kill_all()
                time.sleep(BOOT)
            case "endpoint":
                fault.in_flight = CONCURRENCY * len(workers)
                self.server.go_away()
                time.sleep(self._away)
                self.server.come_back()
                fault.time = time.time()
            case _:
                services.kill(kind)

    def _under_way(self) -> set[str]:
        with self.project.instance() as instance:
            runs = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        return {run.tags["dagster/partition"] for run in runs if "dagster/partition" in run.tags}


def print_results(chaos: Chaos, usual: SampleProject, calls: int) -> None:
    """Print the figures of each fault and of all.

    Raises:
        SystemExit: A row is lost, more calls were repeated than were in flight, or the backfill did
            not end well.
    """
    project, billed = chaos.project, chaos.server.billed_at
    expected, versions = usual.versions(), project.versions()
    times = Counter(key for _, key in billed)
    seen = set[str]()
    repeated_at = [at for at, key in billed if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
    with project.instance() as instance:
        records = instance.get_run_records()
        failures = [
            (record.end_time or 0.0, _message(instance, record.dagster_run.run_id))
            for record in records
            if record.dagster_run.status == dg.DagsterRunStatus.FAILURE
        ]
    started = sorted(
        (record.start_time, record.dagster_run.tags.get("dagster/partition", ""))
        for record in records
        if record.start_time
    )
    ends = [fault.time for fault in chaos.faults[1:]] + [float("inf")]
    for fault, end in zip(chaos.faults, ends, strict=True):
        of_shards = [at for at, shard in started if at > fault.time and shard in fault.shards]
        answers = [at for at, _ in billed if at > fault.time]
        waits = fault.kind in ("worker", "host") and of_shards
        after = of_shards[:1] if waits else answers[:1]
        print_figures(
            {
                "fault": fault.kind,
                "seen": dict(Counter(text for at, text in failures if fault.time <= at < end)),
                "rows_lost": sum(lost_rows(usual, project, shard) for shard in fault.shards),
                "calls_repeated": sum(fault.time <= at < end for at in repeated_at),
                "seconds_to_recover": after[0] - fault.time if after else None,
            }
        )
    lost = sum(lost_rows(usual, project, shard) for shard in {shard for _, shard in expected})
    repeated = sum(times.values()) - len(times)
    most = sum(fault.in_flight for fault in chaos.faults)
    equal = sum(versions.get(table) == version for table, version in expected.items())
    print_figures(
        {
            "fault": "all",
            "rows_lost": lost,
            "calls": calls,
            "calls_repeated": repeated,
            "most_repeated": most,
            "tables": len(expected),
            "equal": equal,
            "backfill": chaos.status,
            "launches": 1,
            "retried": sum("dagster/retry_number" in r.dagster_run.tags for r in records),
            "seconds": chaos.seconds,
        }
    )
    if lost or equal < len(expected) or repeated > most or chaos.status != "COMPLETED_SUCCESS":
        raise SystemExit("rows lost, calls repeated, or a backfill that a person must launch again")


def lost_rows(usual: SampleProject, project: SampleProject, shard: str | None) -> int:
    """Return the number of rows of a shard's tables that a project lacks."""
    lost = 0
    for asset, of in usual.versions():
        if of == shard:
            rows, footer = usual.storage.footer(asset, of), project.storage.footer(asset, of)
            assert rows is not None
            lost += max(0, rows.rows - (footer.rows if footer else 0))
    return lost


def _message(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return the message of a failed run without numbers."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE):
        event = entry.get_dagster_event()
        return re.sub(r"[0-9a-f-]{36}|\d+", "...", event.message or "").splitlines()[0]
    return ""


if __name__ == "__main__":
    main()

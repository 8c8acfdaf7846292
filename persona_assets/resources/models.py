"""Models of a project: its endpoints, and the servers that the project starts.

Only one embedded server runs at a time: a second would use the cores that the first needs. The same
holds for the server of a fine-tuned model, which the tables of a training size share.
"""

import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from persona_assets.generation import Budget, Client, Journal, Ledger
from persona_assets.generation.calls.adaptation_file import Adaptations
from persona_assets.generation.calls.outage import check_or_wait
from persona_assets.generation.calls.probe_shapes import ProbedShapes
from persona_assets.generation.completion import Status
from persona_assets.generation.journal.paid_records import PaidRecords
from persona_assets.local_models.command_server import CommandServer, free_port, require_program
from persona_assets.local_models.embedder import LocalEmbedder
from persona_assets.local_models.server import LocalServer
from persona_assets.local_models.weights import MODELS, fetch
from persona_assets.prompting.run_prompt import outcome_of
from persona_assets.resources.local_client import LocalClient
from persona_assets.resources.purging import is_unpurged, purge_table
from persona_assets.resources.session import Session, embedded_sha256
from persona_assets.resources.spending_caps import spending_caps
from persona_assets.resources.tuned_model import (
    TunedModel,
    fill_command,
    require_served,
    server_command,
)
from persona_assets.settings import ROLES, ModelEndpoint, Precision, Settings
from persona_assets.storage.locks import require_locks
from persona_assets.storage.storage import PROBE, Storage

if TYPE_CHECKING:
    import numpy as np

AnySession = TypeVar("AnySession", bound=Session)

ShowAnswer: TypeAlias = Callable[[str, Mapping[str, Any]], None]
"""Function that shows an answer to a person: the asset that asked, and the fields."""


class Models:
    """Sessions over a project's endpoints; `close` stops the servers.

    Attributes:
        settings: Settings of the project.
        storage: Tables of the project.
        report: Called with each line of progress of any table; does nothing until it is set.
        show_answer: Called with the asset and the fields of each usable answer; does nothing until
            it is set.
        agreed: US dollars that a person agreed to spend; see `spending_caps`.
        retry: Outcomes that a session requests once more if its table dropped rows for them; see
            `complete`.
    """

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self.settings = settings
        self.storage = storage
        self._server: tuple[Path, LocalServer] | None = None
        self._tuned_server: CommandServer | None = None
        self._embedders: dict[Precision, LocalEmbedder] = {}
        self.report: Callable[[str], None] = lambda message: None
        self.show_answer: ShowAnswer = lambda asset, value: None
        self.agreed: Decimal | None = None
        self.retry: Collection[Status] = ()
        self._has_locks = False

    def check(
        self, roles: Collection[str] = ROLES, waiting: Callable[[str], None] | None = None
    ) -> None:
        """Make sure, at no cost, that each endpoint in use can be reached and accepts its key.

        Each exception's message is a sentence that names the remedy.

        Args:
            roles: Roles in use; the fine-tuned model of `evaluation` is not there yet, but the
                program that would serve it is looked for.
            waiting: Called with a sentence when an endpoint that has answered before is away: it is
                waited for. None to wait for nothing.

        Raises:
            EndpointRefused: A key is missing or not accepted.
            EndpointUnreachable: An endpoint cannot be reached.
            WeightsError: An embedded chat model is unknown.
            EmbedderError: The embedded embedding model is unknown or cannot be loaded.
            LocalServerError: The program of PERSONA_EVALUATION__SERVE does not exist.
        """
        if "evaluation" in roles and self.settings.evaluation.serve is not None:
            require_program(shlex.split(self.settings.evaluation.serve)[0])
        checked = set[tuple[str | None, ...]]()
        used = (role for role in self.settings.roles if role in roles and role != "evaluation")
        for role in used:
            endpoint = self.settings.endpoint(role)
            place = (
                endpoint.base_url,
                endpoint.api_key_env,
                endpoint.provider,
                endpoint.api_version,
            )
            if endpoint.embedded and role == "embedder":
                LocalEmbedder(endpoint.model)
            elif endpoint.embedded:
                embedded_sha256(role, endpoint)
            elif place not in checked:
                checked.add(place)
                known = waiting is not None and self._has_answered(endpoint)
                check_or_wait(endpoint, known, waiting or self.report)

    def _has_answered(self, endpoint: ModelEndpoint) -> bool:
        path = self.storage.endpoints
        return ProbedShapes(endpoint, Adaptations(endpoint, path), path).any

    @staticmethod
    def fetch(settings: Settings, report: Callable[[str], None]) -> list[Path]:
        """Fetch and verify the embedded chat models in use and the base model.

        Args:
            settings: Settings that name the models.
            report: Called with each line of progress.

        Raises:
            WeightsError: All sources of a model failed; the message holds the reason for each.
        """
        endpoints = [settings.endpoint(role) for role in settings.roles]
        names = {endpoint.model for endpoint in endpoints if endpoint.embedded}
        needed = sorted((names | {settings.training.base_model}) & set(MODELS))
        folder = settings.model_dir.expanduser()
        return [fetch(name, folder, report=report) for name in needed]

    @contextmanager
    def session(
        self,
        asset: str,
        shard: str | None,
        run_id: str,
        report: Callable[[str], None],
        tuned: TunedModel | None = None,
        backfill: str | None = None,
        *,
        makes_table: bool = False,
    ) -> Iterator[Session]:
        """Open the models for a table, with its journal, under the caps of the settings.

        Args:
            asset: Asset of the table.
            shard: Shard of the table, if it has shards.
            run_id: Stored in each record; names the scope of the run's cap.
            report: Called with each line of progress of this table.
            tuned: Fine-tuned model in the evaluation role.
            backfill: Names the scope of the backfill's cap.
            makes_table: True if all calls of the table are asked; then its other completions are
                purged on exit, where a withdrawal wants that.

        Raises:
            JournalBusy: Another run holds the journal.
            LocksIgnored: The file system of the data folder does not keep two writers apart.
        """
        if not self._has_locks:
            require_locks(self.storage.data_dir)
            self._has_locks = True

        def report_everywhere(message: str) -> None:
            report(message)
            self.report(message)

        path, landed = self.storage.journal(asset, shard), self.storage.completions(asset, shard)
        purges = makes_table and is_unpurged(self.storage, asset, shard)
        with (
            Journal(path, landed) as journal,
            self._budget(run_id, backfill) as budget,
            PaidRecords(*self.storage.paid_folders, path, report_everywhere) as paid,
        ):
            journal.asked = set() if purges else None
            yield self._open(
                Session, asset, shard, journal, run_id, budget, report_everywhere, tuned, paid
            )
        if journal.asked is not None:
            removed = purge_table(self.storage, asset, shard, journal.asked)
            report_everywhere(f"{removed:,} completions purged that nothing asks for any more")

    def _open(
        self,
        kind: type[AnySession],
        asset: str,
        shard: str | None,
        journal: Journal,
        run_id: str,
        budget: Budget | None,
        report: Callable[[str], None],
        tuned: TunedModel | None,
        paid: PaidRecords,
    ) -> AnySession:
        """Return a session of a kind over an open journal and the records of other tables."""
        return kind(
            self.settings,
            journal,
            run_id,
            budget,
            report,
            tuned,
            show_answer=partial(self.show_answer, asset),
            endpoints=self.storage.endpoints,
            probes=Journal(
                self.storage.journal(PROBE, None), self.storage.completions(PROBE, None)
            ),
            reuse=paid.get,
            open_client=self.client,
            serve=self.serve,
            embed_locally=self._embed_locally,
            retry=self._retried(asset, shard),
        )

    def _retried(self, asset: str, shard: str | None) -> list[Status]:
        """Return the outcomes to request once more: those that the forecast counts."""
        footer = self.storage.footer(asset, shard) if self.retry else None
        dropped = {outcome_of(reason) for reason in footer.dropped} if footer else set[str]()
        return [outcome for outcome in self.retry if outcome in dropped]

    @contextmanager
    def _budget(self, run_id: str, backfill: str | None) -> Iterator[Budget | None]:
        settings = self.settings
        caps = spending_caps(settings, run_id, backfill, agreed=self.agreed)
        if not caps:
            yield None
            return
        url = settings.ledger_url or str(self.storage.data_dir / "ledger.sqlite")
        with closing(Budget(Ledger(url), caps)) as budget:
            yield budget

    def serve(
        self, endpoint: ModelEndpoint, tuned: TunedModel, report: Callable[[str], None]
    ) -> None:
        """Make sure that a fine-tuned model, and no other, is served at its endpoint.

        The server of a training size is started once, and replaced by that of the next size.

        Args:
            endpoint: Endpoint of the model, by `tuned_endpoint`.
            tuned: The model.
            report: Called with each line of progress.

        Raises:
            EndpointError: The endpoint lists other models, or none.
            LocalServerError: The server did not start.
            WrongWeightsError: The weights on disk are not those that were trained.
        """
        settings = self.settings.evaluation
        if endpoint.embedded:
            if self._server is None or self._server[0] != tuned.path:
                tuned.check_weights()
            return
        template = server_command(settings, tuned)
        if template is None:
            require_served(endpoint, tuned)
            return
        name, running = endpoint.model, self._tuned_server
        if running is not None and running.name == name and running.running:
            return
        self._stop_tuned_server()
        tuned.check_weights()
        # A name may begin with the provider's, as a path does.
        log = self.storage.data_dir / "servers" / f"{name.rpartition('/')[2]}.log"
        port = free_port()
        command = fill_command(template, tuned, name, port)
        server = CommandServer(command, name, port, log, report, settings.serve_timeout)
        self._tuned_server = server.start()

    def client(self, endpoint: ModelEndpoint, tuned: TunedModel | None = None) -> Client:
        """Return an HTTP client for an endpoint, after starting its server if it is embedded.

        A server of the project that ends is started again, up to `MOST_STARTS` times.

        Args:
            endpoint: Endpoint of a role.
            tuned: Fine-tuned model at the endpoint, which `serve` has prepared; None for the model
                that the endpoint names.
        """
        if endpoint.embedded:
            folder = self.settings.model_dir.expanduser()
            path = fetch(endpoint.model, folder) if tuned is None else tuned.path
            return LocalClient(endpoint, self._serve(path, endpoint))
        if tuned is not None and self._tuned_server is not None:
            return LocalClient(endpoint, self._tuned_server)
        return Client(endpoint)

    def close(self) -> None:
        """Stop the servers; the next call of their models starts them again."""
        if self._server is not None:
            self._server[1].stop()
            self._server = None
        self._stop_tuned_server()

    def _stop_tuned_server(self) -> None:
        if self._tuned_server is not None:
            self._tuned_server.stop()
            self._tuned_server = None

    def _embed_locally(self, texts: Sequence[str], precision: Precision) -> "np.ndarray":
        if precision not in self._embedders:
            self._embedders[precision] = LocalEmbedder(self.settings.embedder.model, precision)
        return self._embedders[precision].embed(texts)

    def _serve(self, path: Path, endpoint: ModelEndpoint) -> LocalServer:
        if self._server is None or self._server[0] != path or not self._server[1].running:
            self.close()
            server = LocalServer(path, endpoint.model, slots=endpoint.concurrency)
            server.start()
            self._server = (path, server)
        return self._server[1]

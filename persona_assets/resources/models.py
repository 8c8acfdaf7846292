"""Models of a project: its endpoints, and the server of the embedded models.

Only one embedded server runs at a time: a second would use the cores that the first needs.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from persona_assets.generation import Budget, Client, Journal, Ledger, check_endpoint
from persona_assets.generation.journal.paid_records import PaidRecords
from persona_assets.local_models.embedder import LocalEmbedder
from persona_assets.local_models.server import LocalServer
from persona_assets.local_models.weights import MODELS, fetch
from persona_assets.resources.session import Session, TunedModel, embedded_sha256
from persona_assets.resources.spending_caps import spending_caps
from persona_assets.settings import ROLES, ModelEndpoint, Precision, Settings
from persona_assets.storage.storage import PROBE, Storage

if TYPE_CHECKING:
    import numpy as np


class Models:
    """Sessions over a project's endpoints; `close` stops the embedded server.

    Attributes:
        settings: Settings of the project.
        storage: Tables of the project.
        report: Called with each line of progress of any table; does nothing until it is set.
        agreed: US dollars that a person agreed to spend; see `spending_caps`.
    """

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self.settings = settings
        self.storage = storage
        self._server: tuple[Path, LocalServer] | None = None
        self._embedders: dict[Precision, LocalEmbedder] = {}
        self.report: Callable[[str], None] = lambda message: None
        self.agreed: Decimal | None = None

    def check(self, roles: Collection[str] = ROLES) -> None:
        """Make sure, at no cost, that each endpoint in use can be reached and accepts its key.

        Each exception's message is a sentence that names the remedy.

        Args:
            roles: Roles in use; the fine-tuned model of `evaluation` is not there yet.

        Raises:
            EndpointRefused: A key is missing or not accepted.
            EndpointUnreachable: An endpoint cannot be reached.
            WeightsError: An embedded chat model is unknown.
            EmbedderError: The embedded embedding model is unknown or cannot be loaded.
        """
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
                check_endpoint(endpoint)

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
    ) -> Iterator[Session]:
        """Open the models for a table, with its journal, under the caps of the settings.

        Args:
            asset: Asset of the table.
            shard: Shard of the table, if it has shards.
            run_id: Stored in each record; names the scope of the run's cap.
            report: Called with each line of progress of this table.
            tuned: Fine-tuned model in the evaluation role.
            backfill: Names the scope of the backfill's cap.

        Raises:
            JournalBusy: Another run holds the journal.
        """

        def report_everywhere(message: str) -> None:
            report(message)
            self.report(message)

        path, landed = self.storage.journal(asset, shard), self.storage.completions(asset, shard)
        with (
            Journal(path, landed) as journal,
            self._budget(run_id, backfill) as budget,
            PaidRecords(*self.storage.paid_folders, path, report_everywhere) as paid,
        ):
            yield Session(
                self.settings,
                journal,
                run_id,
                budget,
                report_everywhere,
                tuned,
                endpoints=self.storage.endpoints,
                probes=Journal(
                    self.storage.journal(PROBE, None), self.storage.completions(PROBE, None)
                ),
                reuse=paid.get,
                open_client=self.client,
                embed_locally=self._embed_locally,
            )

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

    def client(self, endpoint: ModelEndpoint, path: Path | None) -> Client:
        """Return an HTTP client for an endpoint, after starting its server if it is embedded.

        Args:
            endpoint: Endpoint of a role.
            path: Weights of an embedded model; None: the model that the endpoint names.
        """
        if not endpoint.embedded:
            return Client(endpoint)
        path = path or fetch(endpoint.model, self.settings.model_dir.expanduser())
        server = self._serve(path, endpoint)
        local = endpoint.model_copy(update={"base_url": server.base_url})
        return Client(local, api_key=server.api_key)

    def close(self) -> None:
        """Stop the embedded server; the next call starts it again."""
        if self._server is not None:
            self._server[1].stop()
            self._server = None

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

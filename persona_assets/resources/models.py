"""The models of a project: its endpoints, and the server of the embedded ones.

One embedded server runs at a time: a second would take the cores that the first needs.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from persona_assets.generation import Budget, Client, Journal, Ledger, SpendingCap, check_endpoint
from persona_assets.local_models.embedder import LocalEmbedder
from persona_assets.local_models.server import LocalServer
from persona_assets.local_models.weights import MODELS, fetch
from persona_assets.resources.session import Session, TunedModel, embedded_sha256
from persona_assets.settings import ROLES, ModelEndpoint, Precision, Settings
from persona_assets.storage.storage import Storage


class Models:
    """Sessions over a project's endpoints; `close` stops the embedded server.

    `report` is called with every line of progress, of whichever table; it does nothing until set.
    """

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self._settings = settings
        self._storage = storage
        self._server: tuple[Path, LocalServer] | None = None
        self._embedders: dict[Precision, LocalEmbedder] = {}
        self.report: Callable[[str], None] = lambda message: None

    def check(self) -> None:
        """Asks every endpoint in use, at no cost, whether it answers to its key.

        Raises EndpointRefused, EndpointUnreachable or, for a model that is not among the embedded
        ones, WeightsError or EmbedderError: each with a sentence that says what to do.
        """
        asked = set[tuple[str | None, str | None]]()
        for role in ROLES:
            endpoint = self._settings.endpoint(role)
            place = (endpoint.base_url, endpoint.api_key_env)
            if role == "evaluation":
                continue
            if endpoint.embedded and role == "embedder":
                LocalEmbedder(endpoint.model)
            elif endpoint.embedded:
                embedded_sha256(role, endpoint)
            elif place not in asked:
                asked.add(place)
                check_endpoint(endpoint)

    @staticmethod
    def fetch(settings: Settings, report: Callable[[str], None]) -> list[Path]:
        """Fetches and verifies the embedded chat models in use and the base model.

        Raises WeightsError with the reason for each source that failed.
        """
        endpoints = [settings.endpoint(role) for role in ROLES]
        names = {endpoint.model for endpoint in endpoints if endpoint.embedded}
        wanted = sorted((names | {settings.training.base_model}) & set(MODELS))
        folder = settings.model_dir.expanduser()
        return [fetch(name, folder, report=report) for name in wanted]

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
        """The models as one table uses them, with its journal open, under the caps in the settings.

        Raises JournalBusy where another run holds the journal.
        """
        path, landed = self._storage.journal(asset, shard), self._storage.completions(asset, shard)
        with Journal(path, landed) as journal, self._budget(run_id, backfill) as budget:
            yield Session(self, self._settings, journal, run_id, budget, report, tuned)

    @contextmanager
    def _budget(self, run_id: str, backfill: str | None) -> Iterator[Budget | None]:
        settings = self._settings
        caps = []
        if settings.run_budget is not None:
            caps.append(SpendingCap(f"run:{run_id}", settings.run_budget, "PERSONA_RUN_BUDGET"))
        if settings.backfill_budget is not None and backfill is not None:
            scope = f"backfill:{backfill}"
            caps.append(SpendingCap(scope, settings.backfill_budget, "PERSONA_BACKFILL_BUDGET"))
        if not caps:
            yield None
            return
        url = settings.ledger_url or str(self._storage.data_dir / "ledger.sqlite")
        with closing(Budget(Ledger(url), caps)) as budget:
            yield budget

    def client(self, endpoint: ModelEndpoint, path: Path | None) -> Client:
        """An HTTP client for an endpoint, once its embedded server, if it has one, is up."""
        if not endpoint.embedded:
            return Client(endpoint)
        path = path or fetch(endpoint.model, self._settings.model_dir.expanduser())
        server = self._serve(path, endpoint)
        local = endpoint.model_copy(update={"base_url": server.base_url})
        return Client(local, api_key=server.api_key)

    def close(self) -> None:
        """Stops the embedded server; the next call starts it again."""
        if self._server is not None:
            self._server[1].stop()
            self._server = None

    def local_embedder(self, precision: Precision) -> LocalEmbedder:
        """The embedding model in this process."""
        if precision not in self._embedders:
            self._embedders[precision] = LocalEmbedder(self._settings.embedder.model, precision)
        return self._embedders[precision]

    def _serve(self, path: Path, endpoint: ModelEndpoint) -> LocalServer:
        if self._server is None or self._server[0] != path or not self._server[1].running:
            self.close()
            server = LocalServer(path, endpoint.model, slots=endpoint.concurrency)
            server.start()
            self._server = (path, server)
        return self._server[1]

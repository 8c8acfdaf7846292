"""A session: the models as one table uses them while it is made.

What the table's journal has is answered from there; the rest goes to the role's endpoint. An
embedded model's server is started by `Models` when the first call needs it.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persona_assets.generation import (
    Answer,
    Call,
    EndpointError,
    Engine,
    Journal,
    Record,
    Request,
    Usage,
    call_key,
    complete,
)
from persona_assets.resources.weights import MODELS, WeightsError
from persona_assets.settings import ModelEndpoint, Settings

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from persona_assets.resources.models import Models

EMBEDDING_BATCH = 256
"""Texts in one embedding call."""


@dataclass(frozen=True)
class TunedModel:
    """A fine-tuned model to evaluate: the file to serve and the hash that names its answers."""

    path: Path
    sha256: str

    @classmethod
    def of(cls, rows: "pl.DataFrame", data_dir: Path) -> "TunedModel | None":
        """The model of a `fine_tuned_model` table; None where nothing was trained."""
        return cls(data_dir / rows["path"][0], rows["sha256"][0]) if len(rows) else None


class Session:
    """The models of one table while it is made: `complete`, `embed`, and what they used."""

    def __init__(
        self,
        models: "Models",
        settings: Settings,
        journal: Journal,
        run_id: str,
        report: Callable[[str], None],
        tuned: TunedModel | None,
    ) -> None:
        self._models = models
        self._settings = settings
        self._journal = journal
        self._run_id = run_id
        self._report = report
        self._tuned = tuned
        self._engines: dict[str, Engine] = {}

    def complete(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """One answer for each request, in their order, each from its role's endpoint.

        Raises EndpointError after the last one if more of them than the setting
        `max_quarantine_share` are errors: an outage must not empty a table.
        """
        asked = 0
        errors = Counter[str]()
        for role, group in itertools.groupby(requests, key=lambda request: request.role):
            for answer in complete(group, self._engine(role)):
                asked += 1
                errors.update([answer.reason] if answer.status == "error" else ())
                yield answer
        if errors.total() > self._settings.max_quarantine_share * asked:
            raise EndpointError(
                f"{errors.total()} of {asked} calls ended in an error "
                f"({', '.join(f'{reason} {count}' for reason, count in errors.most_common())}), "
                "so no table was written: run again; what was answered is kept"
            )

    def embed(self, texts: Sequence[str]) -> "np.ndarray":
        """Unit vectors of shape (texts, dimensions), float32."""
        import numpy as np

        if self._settings.embedder.embedded:
            return self._models.local_embedder.embed(texts)
        engine = self._engine("embedder")
        batches = [texts[i : i + EMBEDDING_BATCH] for i in range(0, len(texts), EMBEDDING_BATCH)]
        calls = [self._embedding_call(batch) for batch in batches]
        vectors = [_vectors(record) for record in engine.send(calls)]
        return np.concatenate(vectors) if vectors else np.empty((0, 0), np.float32)

    @property
    def usage(self) -> Usage:
        """What all roles of this session used together."""
        return sum((engine.usage for engine in self._engines.values()), Usage())

    def metadata(self) -> dict[str, Any]:
        """The usage as metadata of a materialization."""
        usage = self.usage
        return {
            "models": sorted({engine.endpoint.model for engine in self._engines.values()}),
            "calls": usage.calls,
            "replayed": usage.replayed,
            "failed_calls": usage.failed,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "model_seconds": round(usage.seconds, 1),
        }

    def _engine(self, role: str) -> Engine:
        if role not in self._engines:
            endpoint = self._endpoint(role)
            path = self._tuned.path if role == "evaluation" and self._tuned else None
            self._engines[role] = Engine(
                endpoint,
                self._journal,
                run_id=self._run_id,
                report=self._progress(role),
                client=lambda _: self._models.client(endpoint, path),
            )
        return self._engines[role]

    def _endpoint(self, role: str) -> ModelEndpoint:
        endpoint = self._settings.endpoint(role)
        if role == "evaluation" and self._tuned is not None:
            return endpoint.model_copy(update={"weights_sha256": self._tuned.sha256})
        if not endpoint.embedded:
            return endpoint
        return endpoint.model_copy(update={"weights_sha256": embedded_sha256(role, endpoint)})

    def _embedding_call(self, batch: Sequence[str]) -> Call:
        body: dict[str, Any] = {"input": list(batch), "encoding_format": "float"}
        if self._settings.embedding_dimensions is not None:
            body["dimensions"] = self._settings.embedding_dimensions
        identity = self._settings.embedder.identity
        return Call(call_key(identity, "/embeddings", body), "/embeddings", body)

    def _progress(self, role: str) -> Callable[[int, int | None, Usage], None]:
        def report(done: int, total: int | None, usage: Usage) -> None:
            rate = usage.calls / usage.seconds if usage.seconds else 0.0
            left = f", {(total - done) / rate:.0f} s left" if rate and total else ""
            message = (
                f"{role}: {done} of {total if total is not None else '?'} answered, "
                f"{usage.calls} calls ({rate:.2f}/s), {usage.replayed} replayed, "
                f"{usage.prompt_tokens + usage.completion_tokens} tokens{left}"
            )
            self._report(message)
            self._models.report(message)

        return report


def embedded_sha256(role: str, endpoint: ModelEndpoint) -> str:
    """Hash of an embedded model's weights. Raises WeightsError for a name there is not."""
    if endpoint.model not in MODELS:
        raise WeightsError(
            f"no embedded model {endpoint.model!r} for the role {role}: there are "
            f"{', '.join(MODELS)}; set PERSONA_{role.upper()}__MODEL"
        )
    return MODELS[endpoint.model].sha256


def _vectors(record: Record) -> "np.ndarray":
    import numpy as np

    if record.failure is not None or record.body is None:
        raise EndpointError(
            f"the embedding endpoint gave no vectors ({record.failure}), so no table was written: "
            "run again; what was answered is kept"
        )
    rows = sorted(record.body["data"], key=lambda row: row["index"])
    vectors: np.ndarray = np.array([row["embedding"] for row in rows], np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return vectors

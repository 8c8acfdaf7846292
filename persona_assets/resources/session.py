"""A session: the models as one table uses them while it is made.

What the table's journal has is answered from there; the rest goes to the role's endpoint. An
embedded model's server is started by `Models` when the first call needs it.
"""

import base64
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persona_assets.generation import (
    Answer,
    Budget,
    Call,
    CallRecord,
    EndpointError,
    Engine,
    Journal,
    Price,
    Request,
    Usage,
    call_key,
    complete,
)
from persona_assets.local_models.weights import MODELS, WeightsError
from persona_assets.settings import ModelEndpoint, Precision, Settings

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from persona_assets.resources.models import Models

EMBEDDING_BATCH = 256
"""Texts in one embedding call."""

FEW = 20
"""Answers below which a share of them says nothing."""

FREE = Price(input=Decimal(0), output=Decimal(0))
"""What a model on this machine costs."""


class QuarantineError(ValueError):
    """More of a table's answers cannot be used than the settings allow."""


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
        budget: Budget | None,
        report: Callable[[str], None],
        tuned: TunedModel | None,
    ) -> None:
        self._models = models
        self._settings = settings
        self._journal = journal
        self._run_id = run_id
        self._budget = budget
        self._report = report
        self._tuned = tuned
        self._engines: dict[str, Engine] = {}

    def complete(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """One answer for each request, in their order, each from its role's endpoint.

        Raises EndpointError after the last one if a larger share of them than the setting
        `max_quarantine_share` are errors: an outage must not empty a table. Raises QuarantineError
        if that share, of at least FEW, cannot be used for whatever reason; a model that is
        evaluated may fail as it likes.
        """
        asked = 0
        unusable = Counter[str]()
        total = len(requests) if isinstance(requests, Sized) else None
        for role, group in itertools.groupby(requests, key=lambda request: request.role):
            for answer in complete(group, self._engine(role), total=total):
                asked += 1
                if answer.status == "error":
                    unusable[answer.reason] += 1
                elif answer.status != "ok" and role != "evaluation":
                    unusable[answer.status] += 1
                yield answer
        most = self._settings.max_quarantine_share * asked
        counts = ", ".join(f"{reason} {count}" for reason, count in unusable.most_common())
        errors = sum(count for reason, count in unusable.items() if reason.startswith("error:"))
        if errors > most:
            raise EndpointError(
                f"{errors} of {asked} calls ended in an error ({counts}), so no table was written: "
                "run again, or, where the same errors come back, correct the role's settings or "
                "the prompt; what was answered is kept"
            )
        if unusable.total() > most and asked >= FEW:
            raise QuarantineError(
                f"{unusable.total()} of {asked} answers cannot be used ({counts}), a larger share "
                "than PERSONA_MAX_QUARANTINE_SHARE allows, so no table was written: mend the "
                "prompt, choose another model, or raise that setting and run again, which costs "
                "nothing; the answers are in the journal"
            )

    def embed(self, texts: Sequence[str], precision: Precision = "fp32") -> "np.ndarray":
        """Unit vectors of shape (texts, dimensions), float32.

        `precision` is that of the embedded model; an endpoint's is its own.
        """
        import numpy as np

        if self._settings.embedder.embedded:
            return self._models.local_embedder(precision).embed(texts)
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
        """The usage as metadata of a materialization; without a price there is no `cost_usd`."""
        usage = self.usage
        tokens = usage.tokens
        return {
            "models": sorted({engine.endpoint.model for engine in self._engines.values()}),
            "calls": usage.calls,
            "replayed": usage.replayed,
            "failed_calls": usage.failed,
            "uncertain_attempts": usage.uncertain,
            "input_tokens": tokens.input,
            "cached_tokens": tokens.cached,
            "output_tokens": tokens.output,
            "reasoning_tokens": tokens.reasoning,
            **({} if usage.unpriced else {"cost_usd": float(usage.cost)}),
            "unpriced_calls": usage.unpriced,
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
                budget=self._budget,
                report=self._progress(role),
                client=lambda _: self._models.client(endpoint, path),
            )
        return self._engines[role]

    def _endpoint(self, role: str) -> ModelEndpoint:
        endpoint = self._settings.endpoint(role)
        if role == "evaluation" and self._tuned is not None:
            price = FREE if endpoint.embedded else endpoint.price
            return endpoint.model_copy(
                update={"weights_sha256": self._tuned.sha256, "price": price}
            )
        if not endpoint.embedded:
            return endpoint
        sha256 = embedded_sha256(role, endpoint)
        return endpoint.model_copy(update={"weights_sha256": sha256, "price": FREE})

    def _embedding_call(self, batch: Sequence[str]) -> Call:
        body: dict[str, Any] = {"input": list(batch), "encoding_format": "base64"}
        if self._settings.embedding_dimensions is not None:
            body["dimensions"] = self._settings.embedding_dimensions
        identity = self._settings.embedder.identity
        return Call(call_key(identity, "/embeddings", body), "/embeddings", body)

    def _progress(self, role: str) -> Callable[[int, int | None, Usage], None]:
        def report(done: int, total: int | None, usage: Usage) -> None:
            message = f"{role}: {progress_line(done, total, usage)}"
            self._report(message)
            self._models.report(message)

        return report


def progress_line(done: int, total: int | None, usage: Usage) -> str:
    """One line on how far the calls of a role are: done, rate, spend, and seconds left."""
    rate = usage.calls / usage.seconds if usage.seconds else 0.0
    known = f"{usage.cost:.4f} US dollars" if usage.cost or not usage.unpriced else ""
    unknown = f"{usage.unpriced} answers of unknown price" if usage.unpriced else ""
    parts = [
        f"{done} of {'?' if total is None else total} answered",
        f"{usage.calls} calls ({rate:.2f}/s)",
        f"{usage.replayed} replayed",
        f"{usage.tokens.input + usage.tokens.output} tokens",
        " + ".join(part for part in (known, unknown) if part),
        f"{(total - done) / rate:.0f} s left" if rate and total else "",
    ]
    return ", ".join(part for part in parts if part)


def embedded_sha256(role: str, endpoint: ModelEndpoint) -> str:
    """Hash of an embedded model's weights. Raises WeightsError for a name there is not."""
    if endpoint.model not in MODELS:
        raise WeightsError(
            f"no embedded model {endpoint.model!r} for the role {role}: there are "
            f"{', '.join(MODELS)}; set PERSONA_{role.upper()}__MODEL"
        )
    return MODELS[endpoint.model].sha256


def _vectors(record: CallRecord) -> "np.ndarray":
    import numpy as np

    if record.failure is not None or record.body is None:
        raise EndpointError(
            f"the embedding endpoint gave no vectors ({record.failure}), so no table was written: "
            "run again; what was answered is kept"
        )
    rows = sorted(record.body["data"], key=lambda row: row["index"])
    vectors = np.array([_vector(row["embedding"]) for row in rows], np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return vectors


def _vector(embedding: str | list[float]) -> "np.ndarray":
    """One vector: base64 of float32 is asked for, but not every server knows it."""
    import numpy as np

    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding), "<f4")
    return np.array(embedding, np.float32)

"""Session: the models of a table while it is made.

Calls that the journal of this or another table answers are not sent; all others are sent to the
role's endpoint.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persona_assets.generation import (
    Answer,
    Budget,
    Call,
    CallRecord,
    Client,
    Endpoint,
    EndpointError,
    Engine,
    Journal,
    Request,
    Usage,
    call_key,
    complete,
)
from persona_assets.generation.calls.adaptation_file import Adaptations
from persona_assets.generation.calls.error_reply import quoted
from persona_assets.generation.calls.probe import Probe
from persona_assets.generation.calls.probe_shapes import ProbedShapes
from persona_assets.generation.completion import Status
from persona_assets.generation.parsing.embeddings import EmbeddingError, read_vectors
from persona_assets.generation.parsing.model_names import other_model
from persona_assets.local_models.weights import MODELS, WeightsError
from persona_assets.resources.spending_caps import has_budget, is_priced
from persona_assets.resources.tuned_model import FREE, TunedModel, tuned_endpoint
from persona_assets.settings import BASELINE_ROLE, ModelEndpoint, Precision, Settings

if TYPE_CHECKING:
    import numpy as np

EMBEDDING_BATCH = 256
"""Texts per embedding call."""

EMBEDDING_BATCH_BYTES = 300_000
"""UTF-8 bytes of long texts per embedding call: a token has at least a byte, and OpenAI's endpoint
takes 300,000 tokens."""

FEW = 20
"""Number of answers below which the share of unusable answers is not significant."""

MOST_NAMES = 20
"""Number of the endpoint's own words that metadata list singly."""


class QuarantineError(ValueError):
    """The share of unusable answers of a table exceeds the limit in the settings."""


class Session:
    """Models of a table while it is made: `complete`, `embed`, and their usage.

    Args:
        settings: Endpoints of the roles, and limits.
        journal: Open journal of the table.
        run_id: Stored in each record.
        budget: Caps on spending.
        report: Called with each line of progress.
        tuned: Fine-tuned model in the evaluation role.
        show_answer: Called with the fields of each usable answer.
        reuse: Returns a record of another table that settles the call of a key, or None.
        open_client: Returns the HTTP client of an endpoint, given the fine-tuned model if the
            endpoint serves one.
        serve: Makes sure that a fine-tuned model is served at its endpoint, or raises.
        endpoints: File with the parameters that endpoints refuse, and with successful probes.
        probes: Journal of all probes of the project, not open.
        embed_locally: Returns the vectors of texts by the embedded model in a precision.
        retry: Outcomes that are requested once more; see `complete`.
    """

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        run_id: str,
        budget: Budget | None,
        report: Callable[[str], None],
        tuned: TunedModel | None,
        *,
        show_answer: Callable[[Mapping[str, Any]], None],
        endpoints: Path,
        probes: Journal,
        reuse: Callable[[str], CallRecord | None],
        open_client: Callable[[ModelEndpoint, TunedModel | None], Client],
        serve: Callable[[ModelEndpoint, TunedModel, Callable[[str], None]], None],
        embed_locally: "Callable[[Sequence[str], Precision], np.ndarray]",
        retry: Collection[Status] = (),
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._run_id = run_id
        self._budget = budget
        self._report = report
        self._tuned = tuned
        self._show_answer = show_answer
        self._endpoints = endpoints
        self._probes = probes
        self._told = set[str]()
        self._reuse = reuse
        self._open_client = open_client
        self._serve = serve
        self._embed_locally = embed_locally
        self._retry = retry
        self._engines: dict[str, Engine] = {}
        self._notes = Counter[str]()
        self._answered_by = Counter[str]()
        self._unknown_finish_reasons = Counter[str]()
        self._repaired = 0

    def complete(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """Yield an answer per request, in their order, each from its role's endpoint.

        Both exceptions are raised after the last answer, by the setting `max_quarantine_share`.

        Raises:
            EndpointError: A larger share of the answers are errors: an outage must not empty a
                table.
            QuarantineError: A larger share, of at least FEW answers, cannot be used for any reason.
                Answers of an evaluated model do not count.
        """
        number = 0
        unusable = Counter[str]()
        total = len(requests) if isinstance(requests, Sized) else None
        for role, group in itertools.groupby(requests, key=lambda request: request.role):
            for answer in complete(
                group, self._engine(role), total=total, retry=self._retry_of(role)
            ):
                number += 1
                self._tell(role, answer)
                if answer.status == "error":
                    unusable[answer.reason] += 1
                elif answer.unknown_finish_reason and not is_evaluated(role):
                    unusable[f"finish_reason {answer.unknown_finish_reason}"] += 1
                elif answer.status != "ok" and not is_evaluated(role):
                    unusable[answer.status] += 1
                yield answer
        most = self._settings.max_quarantine_share * number
        counts = ", ".join(f"{reason} {count}" for reason, count in unusable.most_common())
        errors = sum(count for reason, count in unusable.items() if reason.startswith("error:"))
        if errors > most:
            raise EndpointError(
                f"{errors} of {number} calls ended in an error ({counts}), so no table was "
                "written: run again, or, where the same errors come back, correct the role's "
                "settings or the prompt; what was answered is kept" + self._said()
            )
        if unusable.total() > most and number >= FEW:
            raise QuarantineError(
                f"{unusable.total()} of {number} answers cannot be used ({counts}), a larger share "
                "than PERSONA_MAX_QUARANTINE_SHARE allows, so no table was written: mend the "
                "prompt, choose another model, or raise that setting and run again, which costs "
                "nothing; the answers are in the journal"
            )

    def embed(
        self,
        texts: Sequence[str],
        precision: Precision = "fp32",
        batch_bytes: int | None = None,
    ) -> "np.ndarray":
        """Return unit vectors, float32, shape (texts, dimensions).

        Args:
            texts: Texts to embed.
            precision: Precision of the embedded model; an endpoint's precision is its own.
            batch_bytes: Most UTF-8 bytes of a call's texts together; None for no limit besides
                EMBEDDING_BATCH texts.

        Raises:
            EndpointError: The endpoint returns no vectors.
        """
        import numpy as np

        if self._settings.embedder.embedded:
            return self._embed_locally(texts, precision)
        engine = self._engine("embedder")
        batches = list(embedding_batches(texts, batch_bytes))
        calls = [embedding_call(self._settings, batch) for batch in batches]
        vectors: list[np.ndarray] = []
        for batch, record in zip(batches, engine.send(calls), strict=True):
            vectors.append(_unit_vectors(record, len(batch)))
            body = record.body or {}
            self._tell_model("embedder", record.model, other_model(record.model, body.get("model")))
        return np.concatenate(vectors) if vectors else np.empty((0, 0), np.float32)

    def has_vectors(self, texts: Sequence[str], batch_bytes: int | None = None) -> bool:
        """Return True if the table has paid for the very calls that `embed` would send.

        Args:
            texts: Texts to embed.
            batch_bytes: See `embed`.
        """
        if self._settings.embedder.embedded:
            return False
        batches = embedding_batches(texts, batch_bytes)
        return all(embedding_call(self._settings, each).key in self._journal for each in batches)

    @property
    def usage(self) -> Usage:
        """Usage of all roles of this session together."""
        return sum((engine.usage for engine in self._engines.values()), Usage())

    @property
    def probe_usage(self) -> Usage:
        """Usage of the probes of this session together, which `usage` leaves out."""
        probes = (engine.probe for engine in self._engines.values())
        return sum((probe.usage for probe in probes if probe is not None), Usage())

    def metadata(self) -> dict[str, Any]:
        """Return the usage as metadata of a materialization; no `cost_usd` if it is unknown.

        `repaired` counts the values that were read from JSON which is not strict; names and words
        of the endpoint appear with their counts where they differ from what was expected.
        """
        usage, probes = self.usage, self.probe_usage
        tokens = usage.tokens
        return {
            "models": sorted({engine.endpoint.model for engine in self._engines.values()}),
            "calls": usage.calls,
            "replayed": usage.replayed,
            "reused": usage.reused,
            "failed_calls": usage.failed,
            "uncertain_attempts": usage.uncertain,
            "input_tokens": tokens.input,
            "cached_tokens": tokens.cached,
            "output_tokens": tokens.output,
            "reasoning_tokens": tokens.reasoning,
            **({} if usage.unpriced else {"cost_usd": float(usage.cost)}),
            "unpriced_calls": usage.unpriced,
            **({"probe_calls": probes.calls} if probes.calls else {}),
            **({"probe_cost_usd": float(probes.cost)} if probes.cost else {}),
            "model_seconds": round(usage.seconds, 1),
            "repaired": self._repaired,
            **({"removed_or_repaired": dict(self._notes)} if self._notes else {}),
            **({"answered_by": dict(self._answered_by)} if self._answered_by else {}),
            **(
                {"unknown_finish_reasons": dict(self._unknown_finish_reasons)}
                if self._unknown_finish_reasons
                else {}
            ),
            **({"adaptations": adaptations} if (adaptations := self._adaptation_list()) else {}),
        }

    def leaves_out(self, role: str, parameter: str) -> bool:
        """Return True if a role was asked without a parameter, which its endpoint refuses."""
        engine = self._engines.get(role)
        changes = () if engine is None else engine.adaptations.changes
        return any(change.parameter == parameter and not change.to for change in changes)

    def _adaptation_list(self) -> list[str]:
        """Return a sentence per parameter that an endpoint of this session refuses."""
        engines = self._engines.values()
        return sorted({line for engine in engines for line in engine.adaptations.sentences})

    def _retry_of(self, role: str) -> Collection[Status]:
        # What an evaluated model could not answer is its result.
        return () if is_evaluated(role) else self._retry

    def _said(self) -> str:
        """Return what the endpoints said to the last calls that failed; "" if they said nothing."""
        said = {engine.refusals.said for engine in self._engines.values()} - {""}
        return "".join(f"; the endpoint said {quoted(message)}" for message in sorted(said))

    def _tell(self, role: str, answer: Answer) -> None:
        """Show an answer, and count how it differs from what was asked for."""
        if answer.value is not None:
            self._show_answer(answer.value)
        self._notes.update(answer.notes)
        self._repaired += answer.repaired
        self._tell_model(role, answer.model, answer.answered_by)
        if word := answer.unknown_finish_reason:
            sentence = f"answers with the unknown finish_reason {word!r} are not used"
            self._count_told(self._unknown_finish_reasons, word, f"{role}: {sentence}")

    def _tell_model(self, role: str, asked: str, answered_by: str) -> None:
        if answered_by:
            sentence = f"{role}: {answered_by!r} answers in place of {asked!r}"
            self._count_told(self._answered_by, answered_by, sentence)

    def _count_told(self, counts: Counter[str], name: str, sentence: str) -> None:
        """Count a word of the endpoint and report it once; it may send a new one each time."""
        if name not in counts and len(counts) < MOST_NAMES:
            self._report(sentence)
        counts[name if name in counts or len(counts) < MOST_NAMES else "others"] += 1

    def _engine(self, role: str) -> Engine:
        if role not in self._engines:
            endpoint, tuned = self._endpoint(role), self._tuned if role == "evaluation" else None
            # What an endpoint refuses, and its probes, are the same for all fine-tuned models.
            known = endpoint.model_copy(update={"model": self._settings.endpoint(role).model})
            adaptations = Adaptations(known, self._endpoints)

            def client(_: Endpoint) -> Client:
                return self._open_client(endpoint, tuned)

            def ready() -> None:
                if tuned is not None:
                    self._serve(endpoint, tuned, self._report)

            probe = None
            probed = ProbedShapes(known, adaptations, self._endpoints)
            if needs_probe(self._settings.endpoint(role)):
                probe = self._probe(endpoint, probed, adaptations, client)
            self._engines[role] = Engine(
                endpoint,
                self._journal,
                run_id=self._run_id,
                budget=self._budget_of(endpoint),
                report=self._progress(role),
                reuse=self._reuse,
                client=client,
                adaptations=adaptations,
                probe=probe,
                ready=ready,
                known=probed.any,
            )
        return self._engines[role]

    def _probe(
        self,
        endpoint: ModelEndpoint,
        probed: ProbedShapes,
        adaptations: Adaptations,
        client: Callable[[Endpoint], Client],
    ) -> Probe:
        def open_sender(journal: Journal) -> Engine:
            def report(*_: object) -> None:
                if engine.outage.since is not None:
                    self._report(f"probe: {engine.outage.sentence}")

            engine = Engine(
                endpoint.model_copy(update={"concurrency": 1}),
                journal,
                run_id=self._run_id,
                budget=self._budget_of(endpoint),
                report=report,
                client=client,
                adaptations=adaptations,
                shared_journal=True,
                known=probed.any,
            )
            return engine

        return Probe(endpoint, probed, self._probes, open_sender, self._report)

    def _budget_of(self, endpoint: ModelEndpoint) -> Budget | None:
        # A budget of the settings must hold, so it refuses an endpoint of unknown price.
        return self._budget if has_budget(self._settings) or is_priced(endpoint) else None

    def _endpoint(self, role: str) -> ModelEndpoint:
        if role == "evaluation" and self._tuned is not None:
            return tuned_endpoint(self._settings.evaluation, self._tuned)
        return role_endpoint(self._settings, role)

    def _progress(self, role: str) -> Callable[[int, int | None, Usage], None]:
        def report(done: int, total: int | None, usage: Usage) -> None:
            for line in self._adaptation_list():
                if line not in self._told:
                    self._told.add(line)
                    self._report(line)
            away = self._engines[role].outage.sentence
            self._report(f"{role}: {away or progress_line(done, total, usage)}")

        return report


def embedding_batches(
    texts: Sequence[str], batch_bytes: int | None = None
) -> Iterator[Sequence[str]]:
    """Divide texts into the batches of embedding calls, in their order.

    Args:
        texts: Texts to embed.
        batch_bytes: Most UTF-8 bytes of a batch of several texts; None for no limit.

    Example:
        >>> list(embedding_batches(["a tide", "a bell", "a gull"], batch_bytes=12))
        [['a tide', 'a bell'], ['a gull']]
    """
    if batch_bytes is None:
        yield from (texts[i : i + EMBEDDING_BATCH] for i in range(0, len(texts), EMBEDDING_BATCH))
        return
    start = size = 0
    for end, text in enumerate(texts):
        added = len(text.encode("utf-8", "surrogatepass"))
        if end > start and (end - start == EMBEDDING_BATCH or size + added > batch_bytes):
            yield texts[start:end]
            start, size = end, 0
        size += added
    if start < len(texts):
        yield texts[start:]


def progress_line(done: int, total: int | None, usage: Usage) -> str:
    """Return a line on the progress of a role's calls: done, rate, spend, and seconds left.

    Args:
        done: Number of calls with a result.
        total: Number of all calls; None: unknown.
        usage: Usage of the role's engine.

    Example:
        >>> from decimal import Decimal
        >>> progress_line(5, 20, Usage(calls=3, replayed=2, seconds=1.5, cost=Decimal("0.012")))
        '5 of 20 answered, 3 calls (2.00/s), 2 replayed, 0 tokens, 0.0120 US dollars, 8 s left'
    """
    rate = usage.calls / usage.seconds if usage.seconds else 0.0
    known = f"{usage.cost:.4f} US dollars" if usage.cost or not usage.unpriced else ""
    unknown = f"{usage.unpriced} answers of unknown price" if usage.unpriced else ""
    parts = [
        f"{done} of {'?' if total is None else total} answered",
        f"{usage.calls} calls ({rate:.2f}/s)",
        f"{usage.replayed} replayed",
        f"{usage.reused} reused" if usage.reused else "",
        f"{usage.tokens.input + usage.tokens.output} tokens",
        " + ".join(part for part in (known, unknown) if part),
        f"{(total - done) / rate:.0f} s left" if rate and total else "",
    ]
    return ", ".join(part for part in parts if part)


def is_evaluated(role: str) -> bool:
    """Return True if the answers of a role are measured, so that unusable ones count as errors."""
    return role == "evaluation" or role.startswith(BASELINE_ROLE)


def role_endpoint(settings: Settings, role: str) -> ModelEndpoint:
    """Return a role's endpoint, for an embedded model with the hash of its weights and no price.

    Raises:
        WeightsError: No embedded model has the endpoint's name.
    """
    endpoint = settings.endpoint(role)
    if not endpoint.embedded:
        return endpoint
    sha256 = embedded_sha256(role, endpoint)
    # A server of this process does not come back.
    return endpoint.model_copy(update={"weights_sha256": sha256, "price": FREE, "outage": 0.0})


def needs_probe(endpoint: ModelEndpoint) -> bool:
    """Return True if an endpoint is probed: it is not on this machine, and answers directly."""
    return not endpoint.on_this_machine and endpoint.transport == "online"


def embedding_call(settings: Settings, texts: Sequence[str]) -> Call:
    """Return the call that embeds texts at the embedder's endpoint."""
    body: dict[str, Any] = {"input": list(texts), "encoding_format": "base64"}
    if settings.embedding_dimensions is not None:
        body["dimensions"] = settings.embedding_dimensions
    return Call(call_key(settings.embedder.identity, "/embeddings", body), "/embeddings", body)


def embedded_sha256(role: str, endpoint: ModelEndpoint) -> str:
    """Return the hash of an embedded model's weights.

    Raises:
        WeightsError: No embedded model has the endpoint's name.
    """
    if endpoint.model not in MODELS:
        raise WeightsError(
            f"no embedded model {endpoint.model!r} for the role {role}: there are "
            f"{', '.join(MODELS)}; set PERSONA_{role.upper()}__MODEL"
        )
    return MODELS[endpoint.model].sha256


def _unit_vectors(record: CallRecord, texts: int) -> "np.ndarray":
    import numpy as np

    if record.failure is not None or record.body is None:
        raise EndpointError(
            f"the embedding endpoint gave no vectors ({record.failure}), so no table was written: "
            "run again; what was answered is kept; it said "
            + quoted((record.error or {}).get("message") or "nothing")
        )
    try:
        vectors = read_vectors(record.body, texts)
    except EmbeddingError as error:
        raise EndpointError(
            f"the embedding endpoint's response {record.key} cannot be used: {error}; no table was "
            "written: correct PERSONA_EMBEDDER__MODEL or its address, or remove that line from "
            "the journal to send its texts again"
        ) from None
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return vectors

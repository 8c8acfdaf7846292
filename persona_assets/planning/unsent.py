"""Models that send nothing: sessions that answer from the records of paid calls alone.

A call that no record settles is counted and ends in an error. So the steps of an asset ask for what
a run would ask for, key by key, and nothing is sent and nothing is written.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Self

from persona_assets.generation import (
    Answer,
    Call,
    CallRecord,
    CompletionStore,
    Engine,
    Journal,
    Request,
)
from persona_assets.generation.calls.adaptation_file import Adaptations
from persona_assets.generation.journal.journal_reader import JournalReader
from persona_assets.generation.journal.paid_records import PaidRecords
from persona_assets.generation.transport import Transport
from persona_assets.resources.models import Models
from persona_assets.resources.session import Session, embedding_batches, embedding_call
from persona_assets.resources.tuned_model import TunedModel
from persona_assets.settings import Precision, Settings
from persona_assets.storage.storage import Storage

if TYPE_CHECKING:
    import numpy as np

NOT_SENT = {"code": "not_sent", "message": "no record settles the call"}
"""Error of a call that would be sent."""


FEW_TEXTS = 8
"""Most texts that the embedded model embeds for a count, such as the description of a task's
personas."""


class Unforeseen(RuntimeError):
    """The rest of a table depends on a result that is not there before the run."""


class UnpaidVectors(Unforeseen):
    """The rest of a table depends on vectors that are not paid for."""


@dataclass
class Questions:
    """Questions of a table, and the calls that its run would send.

    Attributes:
        most: Number of questions after which the count ends.
        stages: Number of questions of each stage; an embedding call is one.
        unpaid: Keys of the calls that no record settles.
        is_staged: True if a stage began after an unpaid call, and may depend on its answer.
    """

    most: int
    stages: list[int] = field(default_factory=list[int])
    unpaid: set[str] = field(default_factory=set[str])
    is_staged: bool = False

    @property
    def asked(self) -> int:
        """Number of questions."""
        return sum(self.stages)

    def begin_stage(self) -> None:
        """Note that the step asks for more."""
        self.is_staged |= bool(self.unpaid)
        self.stages.append(0)

    def add(self) -> None:
        """Count a question.

        Raises:
            Unforeseen: There are too many to count.
        """
        if self.asked >= self.most:
            raise Unforeseen(f"more than {self.most} questions")
        self.stages[-1] += 1


class UnsentModels(Models):
    """Sessions over the records of a project's paid calls.

    Args:
        settings: Settings of the project.
        storage: Tables of the project.
        retry: Outcomes that the run requests once more.
        questions: Counts the questions of all sessions.
    """

    def __init__(
        self, settings: Settings, storage: Storage, retry: Iterable[str], questions: Questions
    ) -> None:
        # However many calls are unpaid, the step has to reach its end.
        super().__init__(settings.model_copy(update={"max_quarantine_share": 1.0}), storage)
        self._questions = questions
        self.retry = [outcome for outcome in retry if outcome != "error"]  # type: ignore[misc]

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
        """Open the records for a table; see `Models.session`."""
        path, landed = self.storage.journal(asset, shard), self.storage.completions(asset, shard)
        with (
            _Records(path, landed) as records,
            PaidRecords(*self.storage.paid_folders, path) as paid,
        ):
            session = self._open(
                _UnsentSession,
                asset,
                shard,
                records,
                run_id,
                None,
                lambda message: None,
                tuned,
                paid,
            )
            session.questions = self._questions
            yield session


class _Records(Journal):
    """Records of a table, read without its lease; what is added stays in memory."""

    def __init__(self, path: Path, completions: Path) -> None:
        super().__init__(path, completions)
        self._added: dict[str, CallRecord] = {}
        self._reader: JournalReader | None = None

    def __enter__(self) -> Self:
        # The journal first: its records move to the completions file.
        self._reader = JournalReader(self.path) if self.path.exists() else None
        if self.completions is not None and self.completions.exists():
            self._store = CompletionStore(self.completions)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._reader is not None:
            self._reader.close()
        self.close()

    def __len__(self) -> int:
        return len(self._added)

    def __contains__(self, key: str) -> bool:
        return self.compacted(key) or self.get(key) is not None

    def get(self, key: str) -> CallRecord | None:
        stored = None if self._store is None else self._store.get(key)
        if stored is None and self._reader is not None:
            stored = self._reader.get(key)
        return self._added.get(key) if stored is None else stored

    def append(self, *records: CallRecord) -> None:
        self._added |= {record.key: record for record in records}


class _UnsentSession(Session):
    """Session whose unpaid calls are counted in place of being sent."""

    questions: Questions

    def complete(self, requests: Iterable[Request]) -> Iterator[Answer]:
        self.questions.begin_stage()
        return super().complete(self._counted(requests))

    def embed(
        self,
        texts: Sequence[str],
        precision: Precision = "fp32",
        batch_bytes: int | None = None,
    ) -> "np.ndarray":
        if self._settings.embedder.embedded:
            if len(texts) > FEW_TEXTS:
                raise Unforeseen("vectors of the embedded model")
            return super().embed(texts, precision, batch_bytes)
        self.questions.begin_stage()
        unpaid = set[str]()
        for batch in embedding_batches(texts, batch_bytes):
            self.questions.add()
            key = embedding_call(self._settings, batch).key
            if key not in self._journal and self._reuse(key) is None:
                unpaid.add(key)
        self.questions.unpaid |= unpaid
        if unpaid:
            raise UnpaidVectors
        return super().embed(texts, precision, batch_bytes)

    def _counted(self, requests: Iterable[Request]) -> Iterator[Request]:
        for request in requests:
            self.questions.add()
            yield request

    def _engine(self, role: str) -> Engine:
        if role not in self._engines:
            endpoint = self._endpoint(role)
            known = endpoint.model_copy(update={"model": self._settings.endpoint(role).model})
            adaptations = Adaptations(known, self._endpoints)
            engine = _UnsentEngine(
                endpoint, self._journal, reuse=self._reuse, adaptations=adaptations
            )
            engine.questions = self.questions
            self._engines[role] = engine
        return self._engines[role]


class _UnsentEngine(Engine):
    """Engine that notes the calls that it would send."""

    questions: Questions

    def open_transport(self) -> Transport:
        return _Unsent(self.questions)


class _Unsent:
    """Transport that notes the key of each call; the call ends in the error NOT_SENT."""

    def __init__(self, questions: Questions) -> None:
        self.landed: SimpleQueue[Sequence[CallRecord] | BaseException] = SimpleQueue()
        self._questions = questions

    def submit(self, calls: Sequence[Call]) -> None:
        self._questions.unpaid |= {call.key for call in calls}
        self.landed.put([CallRecord(call.key, error=NOT_SENT) for call in calls])

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

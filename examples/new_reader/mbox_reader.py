"""A corpus of mailboxes: one reader, declared in one file.

Put the module on the Python path and name it in an entry point of your package::

    [project.entry-points."persona_assets.readers"]
    mbox = "mbox_reader:MboxReader"

Each `.mbox` file in the corpus folder is then a shard, and each plain-text message a text.
"""

import email
import email.policy
import mailbox
from collections.abc import Iterator

from persona_assets.readers import BadRecord, ShardFile, TextRecord, to_record


class MboxReader:
    """Messages of a mailbox (RFC 4155), each with its Message-ID as the source."""

    endings: tuple[str, ...] = (".mbox",)

    def read(self, file: ShardFile) -> Iterator[TextRecord | BadRecord]:
        """Yield the plain-text body of each message."""
        box = mailbox.mbox(file.path, create=False)
        for row, key in enumerate(box.iterkeys(), start=1):
            with box.get_file(key) as lines:
                content = lines.read(file.max_record_bytes + 1)
            if len(content) > file.max_record_bytes:
                yield file.too_large(row)
                continue
            message = email.message_from_bytes(content, policy=email.policy.default)
            body = message.get_body(preferencelist=("plain",))
            try:
                text = None if body is None else body.get_content()
            except (LookupError, UnicodeError):
                yield BadRecord(row, "unknown_charset")
                continue
            data = {"text": text, "source": message["message-id"]}
            yield to_record(data, row, file.key, file.fields)
        box.close()

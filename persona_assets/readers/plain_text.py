"""Reader of plain text, plain or packed."""

from collections.abc import Iterator

from persona_assets.readers.base import BadRecord, DamagedFileError, ShardFile, TextRecord
from persona_assets.readers.compression import read_chunks, with_packings
from persona_assets.readers.fields import FIELDS, to_record


class PlainTextReader:
    """A text per file, in UTF-8."""

    endings: tuple[str, ...] = with_packings(".txt")

    def read(self, file: ShardFile) -> Iterator[TextRecord | BadRecord]:
        """Yield a single record; the user's own field paths are for objects and do not apply."""
        content = bytearray()
        try:
            for chunk in read_chunks(file.path):
                content += chunk
                if len(content) > file.max_record_bytes:
                    yield file.too_large(1)
                    return
            text = content.decode("utf-8-sig")
        except DamagedFileError as damage:
            yield BadRecord(1, str(damage))
        except UnicodeDecodeError as error:
            yield BadRecord(1, f"invalid_utf8: {error.reason}")
        else:
            if text.strip():
                yield to_record({"text": text}, 1, file.key, FIELDS)

"""Readers of a package that is not this project's: it knows only `persona_assets.readers`."""

from collections.abc import Iterator

from persona_assets.readers import BadRecord, ShardFile, TextRecord, read_chunks, to_record


class ParagraphsReader:
    """A record per paragraph."""

    endings = (".paragraphs", ".paragraphs.txt")

    def read(self, file: ShardFile) -> Iterator[TextRecord | BadRecord]:
        text = b"".join(read_chunks(file.path)).decode()
        for row, paragraph in enumerate(text.split("\n\n"), 1):
            yield to_record({"text": paragraph}, row, file.key, file.fields)


class SecondJsonLinesReader(ParagraphsReader):
    """Claims an ending that a built-in reader has."""

    endings = (".jsonl",)


class OlderArchiveReader(ParagraphsReader):
    """Claims an ending that a built-in reader has, too."""

    endings = (".warc.gz",)

"""Text of a page as a web archive holds it: an HTTP response, or its content alone.

Archives differ in what they undo: `Content-Encoding` and `Transfer-Encoding` may describe what the
server sent and not what is stored, so the content itself decides.
"""

import http.client
import io
import re
import zlib

HTML = ("text/html", "application/xhtml+xml")
"""Media types whose main text is extracted; `text/plain` is taken as it is."""

MAX_DEPTH = 1_000
"""Most blocks in each other; browsers show 512. Time of the extraction grows with the square."""

_BLOCK = re.compile(rb"<(?P<end>/?)(?:div|article|section|main)[\s/>]", re.IGNORECASE)
_CHUNK_SIZE = re.compile(rb"([0-9a-f]{1,8})[ \t]*(?:;[^\r\n]{0,200})?\r?\n", re.IGNORECASE)


class PageError(Exception):
    """A page without usable text; the argument is the reason of the BadRecord."""


def response_text(response: bytes, limit: int) -> str:
    """Return the text of an HTTP response.

    Args:
        response: Status line, headers and content.
        limit: Most bytes of the unpacked content.

    Raises:
        PageError: The response is none, is an error or a redirection, or its content is no page.
    """
    status, _, rest = response.partition(b"\n")
    match = re.match(rb"HTTP/\d(?:\.\d)? +([1-5]\d\d)\b", status)
    if match is None:
        raise PageError("not_http: the record holds no HTTP response")
    if match[1] != b"200":
        raise PageError(f"http_status: {match[1].decode()}")
    stream = io.BytesIO(rest)
    try:
        headers = http.client.parse_headers(stream)
    except http.client.HTTPException as error:
        raise PageError("malformed_http: its headers cannot be read") from error
    content = stream.read()
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        content = _joined_chunks(content)
    content = _unpacked(content, headers.get("Content-Encoding", "").strip().lower(), limit)
    media_type = headers.get_content_type() if "Content-Type" in headers else ""
    return content_text(content, media_type, headers.get_content_charset())


def content_text(content: bytes, media_type: str, charset: str | None = None) -> str:
    """Return the text of a page: plain text as it is, of HTML the main text.

    Args:
        content: Content, unpacked.
        media_type: Media type without parameters; empty if unknown.
        charset: Encoding that the server names.

    Raises:
        PageError: The content is no page, or its elements are nested too deeply.
    """
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding, map_encoding_to_html5

    if not media_type:
        media_type = HTML[0] if b"<html" in content[:1024].lower() else ""
    if media_type not in (*HTML, "text/plain"):
        raise PageError("not_a_page: neither HTML nor plain text")
    encoding = map_encoding_to_html5(charset, fallback_utf8=False) if charset else None
    encoding = encoding or detect_encoding(content, from_html_meta=media_type in HTML) or "utf-8"
    text = bytes_to_str(content, encoding, errors="replace")
    if media_type == "text/plain":
        return text
    if _is_too_deep(content):
        raise PageError(f"nested_too_deeply: over {MAX_DEPTH} blocks in each other")
    return extract_plain_text(text, main_content=True, alt_texts=False)


def _joined_chunks(content: bytes) -> bytes:
    """Join the chunks of a content in chunks; return any other content, and a last part, as is."""
    parts: list[bytes] = []
    at = 0
    while match := _CHUNK_SIZE.match(content, at):
        size, start = int(match[1], 16), match.end()
        parts.append(content[start : start + size])
        at = start + size
        at += 2 if content[at : at + 2] == b"\r\n" else content[at : at + 1] == b"\n"
        if not size:
            break
    return b"".join(parts) if parts else content


def _unpacked(content: bytes, encoding: str, limit: int) -> bytes:
    if encoding in ("gzip", "x-gzip") or content.startswith(b"\x1f\x8b\x08"):
        if not content.startswith(b"\x1f\x8b"):
            return content
        unpacked = _inflated(content, limit)
    elif encoding == "deflate":
        unpacked = _inflated(content, limit)
    elif encoding == "br":
        unpacked = _from_brotli(content, limit)
    else:
        return content
    if len(unpacked) > limit:
        raise PageError(f"record_too_large: over {limit} bytes")
    return unpacked


def _inflated(content: bytes, limit: int) -> bytes:
    """Return unpacked gzip, zlib or bare deflate data; a cut-off end is missing in the result."""
    for wbits in (47, -15):
        try:
            return zlib.decompressobj(wbits).decompress(content, limit + 1)
        except zlib.error:
            continue
    return content


def _from_brotli(content: bytes, limit: int) -> bytes:
    import brotli

    try:
        return bytes(brotli.Decompressor().process(content, output_buffer_limit=limit + 1))
    except brotli.error:
        return content


def _is_too_deep(content: bytes) -> bool:
    depth = 0
    for tag in _BLOCK.finditer(content):
        depth = max(depth - 1, 0) if tag["end"] else depth + 1
        if depth > MAX_DEPTH:
            return True
    return False

"""The pages tell what the tables hold, write nothing, answer only under this machine's name, and
text of strangers in them is inert."""

import os
import re
from collections.abc import Callable, Iterator
from html import unescape
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from persona_assets.catalog.catalog import Catalog
from persona_assets.explore.map_image import HEIGHT, WIDTH
from persona_assets.local_models.embedder import EmbedderError
from persona_assets.storage.storage import Storage
from persona_assets_tests.explore.written_hub import Served, embed, project_of, served, write_hub
from persona_assets_tests.reporting.parsed_page import ParsedPage
from persona_assets_tests.sample_project import SampleProject

HOSTILE = "<script>alert(1)</script></a>'\"><img src=x onerror=alert(2)>{{ 7 * 7 }}\x07 ../?q=1&b=2"


def embed_sample(query: str) -> np.ndarray:
    return np.eye(16, dtype=np.float32)[len(query) % 16]


@pytest.fixture(scope="module")
def site(finished: SampleProject) -> Iterator[Served]:
    with served(finished.project, embed_sample) as site:
        yield site


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    storage = Storage(tmp_path_factory.mktemp("hostile"))
    odd = {"relation": HOSTILE, "source": HOSTILE, "licence": HOSTILE, "language": "en"}
    write_hub(
        storage,
        {
            f"a{HOSTILE[:40].replace(chr(7), '')}.txt": [
                {
                    "persona_id": "one",
                    "persona": HOSTILE,
                    "place": (0, 0),
                    "vector": [1.0, 0.0],
                    **odd,
                },
                {"persona_id": "two", "persona": "A bell founder", "vector": [0.0, 1.0]},
                {"persona_id": "a/b?c", "persona": "", "dropped": f"rule: {HOSTILE}"},
                {
                    "persona_id": "gone",
                    "persona": "A founder of bells",
                    "dropped": "lexical_duplicate",
                    "survivor": "two",
                },
            ]
        },
    )
    project = project_of(storage)
    with served(project, embed) as site:
        Catalog(storage, site.pages.contracts).rebuild()
        yield site


def parse(site: Served, path: str, status: int = 200) -> ParsedPage:
    """Parse a page and assert the properties of every page."""
    answer = site.ask(path)
    assert answer.status == status
    page = ParsedPage(answer.text)
    assert page.tags.count("script") == 1
    assert {"iframe", "object", "base"}.isdisjoint(page.tags)
    assert page.events == []
    assert all(address.startswith(("/", "#")) for address in page.addresses)
    assert all(not address.startswith("//") for address in page.addresses)
    assert len(page.ids) == len(set(page.ids))
    assert [level for level, _ in page.headings].count(1) == 1
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", answer.text)
    return page


def sample_of(project: SampleProject) -> tuple[str, str, str]:
    """Return shard, id and persona's id of a unique sample."""
    for shard in project.storage.shards("unique_tools"):
        for row in project.rows("unique_tools", shard).iter_rows(named=True):
            return shard, row["sample_id"], row["persona_id"]
    raise AssertionError("no sample")


def test_every_candidate_is_counted_and_found(finished: SampleProject, site: Served) -> None:
    shards = finished.storage.shards("persona_candidates")
    rows = [
        row for shard in shards for row in finished.rows("persona_candidates", shard).to_dicts()
    ]
    page = parse(site, "/")
    assert f"{len(rows)} personas" in [text for _, text in page.headings]
    in_hub = sum(len(finished.rows("persona_hub", shard)) for shard in shards)
    assert f"in the hub {in_hub}" in " ".join(page.text.split())
    found = parse(site, f"/?q={quote(rows[-1]['persona'])}")
    assert f"/row/{rows[-1]['persona_id']}" in found.addresses


def test_persona_shows_chain_samples_verdicts_and_prices(
    finished: SampleProject, site: Served
) -> None:
    shard, sample_id, persona_id = sample_of(finished)
    page = parse(site, f"/row/{persona_id}")
    chain = finished.catalog.trace(persona_id)
    for row_id in chain["row_id"]:
        assert f"/row/{row_id}" in page.addresses
    words = " ".join(page.text.split())
    text = finished.rows("raw_corpus", shard).filter(text_id=chain["row_id"][-1])["text"].item()
    assert text in words
    affected = finished.catalog.query("SELECT * FROM affected_by(?)", [persona_id])
    made = affected.filter(asset="tools")
    rows = page.rows(f"tools: {len(made)}")
    assert len(rows) == len(made)
    assert {f"/row/{row_id}" for row_id in made["row_id"]} <= set(page.addresses)
    assert f"/row/{sample_id}" in page.addresses
    assert all(row[1].startswith(("in ", "dropped by ")) for row in rows)
    assert all(row[3] == "raw" for row in rows)
    assert "Nearest by meaning" in words
    assert words.count("cosine ") > 0


def test_sample_leads_back_to_persona_text_and_raw_response(
    finished: SampleProject, site: Served
) -> None:
    shard, sample_id, persona_id = sample_of(finished)
    page = parse(site, f"/row/{sample_id}")
    assert f"/row/{persona_id}" in page.addresses
    table = finished.rows("tools", shard).filter(sample_id=sample_id)
    key = table["completion_id"].item()
    [raw] = [it for it in page.addresses if it.startswith("/completion?") and key in it]
    assert table["name"].item() in parse(site, raw).text


def test_dropped_rows_are_all_listed_with_their_rows(finished: SampleProject, site: Served) -> None:
    rows = parse(site, "/dropped").rows("Dropped rows by table and reason")
    expected = {
        (footer.asset, reason): 0
        for _, footer in finished.storage.footers()
        for reason in footer.dropped
    }
    for _, footer in finished.storage.footers():
        for reason, count in footer.dropped.items():
            expected[footer.asset, reason] += count
    assert {(row[0], row[1]): int(row[2]) for row in rows} == expected
    for asset, reason in expected:
        address = f"/dropped?asset={quote(asset)}&reason={quote(reason)}"
        listed = [it for it in parse(site, address).addresses if it.startswith("/row/")]
        assert len(listed) == min(50, expected[asset, reason])
    [text] = [
        text
        for shard in finished.storage.shards("raw_corpus")
        for text in finished.rows("raw_corpus", shard)["text"]
        if "refuse this" in text
    ]
    refused = next(reason for asset, reason in expected if asset == "text_personas")
    assert text in parse(site, f"/dropped?asset=text_personas&reason={refused}").text


def test_reads_write_nothing(finished: SampleProject, site: Served) -> None:
    def files() -> dict[str, int]:
        found = (path for path in finished.data.rglob("*") if path.is_file())
        return {str(path): path.stat().st_mtime_ns for path in found}

    before, asked = files(), finished.server.asked_of.total()
    _, sample_id, persona_id = sample_of(finished)
    for path in (
        "/",
        "/?q=baker&by=meaning",
        f"/row/{sample_id}",
        f"/row/{persona_id}",
        "/dropped",
    ):
        assert site.ask(path).status == 200
    assert files() == before
    assert finished.server.asked_of.total() == asked


def test_map_is_a_picture_whose_marks_follow_the_view(site: Served) -> None:
    def colours(path: str) -> set[tuple[int, ...]]:
        answer = site.ask(path)
        assert answer.headers["content-type"] == "image/png"
        image = Image.open(BytesIO(answer.body))
        assert image.size == (WIDTH, HEIGHT)
        pixels = np.asarray(image.convert("RGBA")).reshape(-1, 4)
        return {tuple(pixel[:3].tolist()) for pixel in np.unique(pixels, axis=0) if pixel[3]}

    assert len(colours("/map.png")) == 1
    assert len(colours("/map.png?hop=0")) == 2
    assert colours("/map.png?q=zebra") == colours("/map.png")
    page = parse(site, "/")
    fields = [it for it in page.addresses if it.startswith("/?box=")]
    nearer = parse(site, fields[0])
    assert "Whole map" in nearer.text
    assert len(colours(fields[0].replace("/?", "/map.png?"))) <= 1


def test_text_of_strangers_is_inert(hostile: Served) -> None:
    shown = HOSTILE.replace("\x07", "\ufffd")
    shard = quote(hostile.pages.hub.value("shard", 0), safe="")
    pages = [
        "/",
        f"/?q={quote(HOSTILE)}",
        f"/?relation={quote(HOSTILE)}&shard={shard}",
        "/row/one",
        "/dropped",
        "/dropped?asset=lexical_survivors&reason=rule",
    ]
    for path in pages:
        page = parse(hostile, path)
        assert shown[:60] in unescape(page.text) or path == "/dropped"
    assert "1 persona" in dict((t, n) for n, t in parse(hostile, pages[2]).headings)
    for path in (f"/row/{quote(HOSTILE, safe='')}", f"/completion?asset={quote(HOSTILE)}&key=x"):
        parse(hostile, path, 404)
    assert parse(hostile, "/completion?asset=tools&shard=../../etc&key=x", 404)


def test_duplicate_and_survivor_lead_to_each_other(hostile: Served) -> None:
    page = parse(hostile, "/row/two")
    assert "Duplicates that it stands for: 1" in [text for _, text in page.headings]
    assert "/row/gone" in page.addresses
    assert "words 0.950" in page.text
    assert "/row/two" in parse(hostile, "/row/gone").addresses
    assert parse(hostile, f"/row/{quote('a/b?c', safe='')}")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost", 200),
        ("LOCALHOST:{port}", 200),
        ("[::1]:{port}", 200),
        ("evil.example", 400),
        ("127.0.0.1.evil.example:{port}", 400),
        ("localhost:80@evil.example", 400),
        ("10.1.2.3", 400),
        ("", 400),
    ],
)
def test_only_names_of_this_machine_are_answered(hostile: Served, host: str, status: int) -> None:
    answer = hostile.ask("/", Host=host.format(port=hostile.port))
    assert answer.status == status
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_open_server_answers_to_numbers_and_to_no_strange_name(tmp_path: Path) -> None:
    with served(project_of(Storage(tmp_path)), host="0.0.0.0") as site:
        assert site.ask("/", Host="10.1.2.3:80").status == 200
        assert site.ask("/", Host="evil.example").status == 400


def test_changed_tables_are_told_and_read_again(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    write_hub(storage, {"a.txt": [{"persona_id": "one", "persona": "A bell founder"}]})
    told = "Tables have changed since"
    with served(project_of(storage)) as site:
        assert told not in site.ask("/").text
        rows = [{"persona_id": "one", "persona": "A ringer"}, {"persona_id": "b", "persona": "B"}]
        write_hub(storage, {"a.txt": rows})
        assert told in site.ask("/").text
        assert "A ringer" not in site.ask("/").text
        assert site.ask("/reload", "POST", Origin="http://evil.example").status == 403
        assert site.ask("/reload").status == 405
        assert site.ask("/reload", "POST", Origin=site.url).status == 303
        page = site.ask("/").text
        assert told not in page
        assert "A ringer" in page


def test_search_by_meaning_explains_why_it_is_not_possible(hostile: Served, tmp_path: Path) -> None:
    def refuse(query: str) -> np.ndarray:
        raise EmbedderError("the embedding model is not installed: pip install it")

    storage = Storage(tmp_path)
    write_hub(storage, {"a.txt": [{"persona_id": "one", "persona": "A", "vector": [1.0, 0.0]}]})
    with served(project_of(storage), refuse) as site:
        page = parse(site, "/?q=bell&by=meaning")
        assert "not possible: The embedding model is not installed: pip install it." in page.text
        assert "0 personas" in [text for _, text in page.headings]
        assert site.ask("/row/one").status == 500
        assert "no catalog at" in site.ask("/row/one").text
        assert "There is no map yet: materialize persona_map" in page.text
        assert site.ask("/map.png").status == 404


def test_empty_project_has_pages(tmp_path: Path) -> None:
    with served(project_of(Storage(tmp_path))) as site:
        page = parse(site, "/?q=bell&hop=1")
        assert "There are no personas yet: materialize persona_candidates" in page.text
        assert os.listdir(tmp_path) == []


def test_taken_port_is_a_sentence(
    hostile: Served,
    finished: SampleProject,
    command: Callable[..., tuple[int, str, str]],
) -> None:
    code, _, errors = command(finished, "explore", "--port", str(hostile.port))
    assert code == 1
    assert "choose another with --host or --port" in errors

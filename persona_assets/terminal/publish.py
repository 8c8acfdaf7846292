"""The command `publish`: rows, terms of the models, folder, upload."""

import argparse
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from persona_assets.catalog.catalog import Catalog
from persona_assets.local_models.weights import MODELS
from persona_assets.planning.cost import refresh_catalog
from persona_assets.project import Project
from persona_assets.publishing.folder import FORMATS, Publication, publish
from persona_assets.publishing.provenance import find_provenance
from persona_assets.publishing.push import push
from persona_assets.publishing.record import add_publication
from persona_assets.publishing.rows import PublishError, read_rows
from persona_assets.terminal.figures import OUT, figure_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("task", metavar="TASK", help="task, variant, persona_hub or math_train")
    parser.add_argument(
        "--to", type=Path, required=True, metavar="FOLDER", help="folder of the dataset"
    )
    parser.add_argument(
        "--push", metavar="REPO", help="upload the folder to a model hub as owner/name"
    )
    parser.add_argument("--public", action="store_true", help="let everybody see a new repository")
    parser.add_argument(
        "--format",
        dest="formats",
        action="append",
        default=[],
        choices=FORMATS,
        help="write conversations in this form, too; may be repeated",
    )
    parser.add_argument(
        "--only-licence",
        dest="licences",
        nargs="+",
        default=[],
        metavar="LICENCE",
        help="only rows of texts under these licences",
    )
    parser.add_argument(
        "--test-share", type=float, default=0.0, metavar="SHARE", help="share of the split test"
    )
    parser.add_argument(
        "--system", action="store_true", help="keep system messages in conversations"
    )
    parser.add_argument(
        "--model-terms",
        action="append",
        default=[],
        metavar="MODEL=TEXT",
        help="terms of a model's provider for its answers; may be repeated",
    )


def run(project: Project, catalog: Catalog, options: argparse.Namespace) -> int:
    """Publish and print what was written.

    Raises:
        PublishError: Nothing can be published so.
        LicenceError: The licences of the rows forbid it.
    """
    if not 0 <= options.test_share < 1:
        raise PublishError("--test-share is a share from 0 to below 1")
    refresh_catalog(catalog, project.storage)
    found = read_rows(
        project,
        options.task,
        only_licences=options.licences,
        test_share=options.test_share,
        with_system=options.system,
    )
    provenance = find_provenance(project, catalog, set(found.tables.values()))
    # An embedder writes nothing that is published.
    writers = [model.model for model in provenance.models if model.output_tokens]
    terms = _terms(writers, options.model_terms)
    made = publish(project, found, provenance, options.to, terms=terms, formats=options.formats)
    _print(made)
    # Before the upload: what an interrupted one has sent is out.
    data_dir, versions = project.storage.data_dir, provenance.versions
    add_publication(data_dir, options.task, options.to, options.push, versions)
    if options.push:
        address = push(options.to, options.push, private=not options.public)
        OUT.print(f"uploaded: {address}", markup=False)
    return 0


def _terms(models: Sequence[str], stated: Collection[str]) -> Mapping[str, str]:
    """Return the terms of each model: of embedded models their licence, of others as stated."""
    terms = {name: f"weights under {MODELS[name].licence}" for name in models if name in MODELS}
    for pair in stated:
        name, sign, text = pair.partition("=")
        if not sign or not text.strip() or name not in models:
            raise PublishError(
                f"--model-terms {pair!r}: write MODEL=TEXT; the models are {', '.join(models)}"
            )
        terms[name] = text.strip()
    for name in models:
        if name not in terms and sys.stdin.isatty():
            terms[name] = input(f"Terms of the provider of {name} for its answers: ").strip()
    if missing := [name for name in models if not terms.get(name)]:
        raise PublishError(
            "the card states the terms under which each model's answers may be used, and nobody "
            f"can guess them: add --model-terms '{missing[0]}=TEXT'"
            f"{f', and so for {len(missing) - 1} more' if len(missing) > 1 else ''}"
        )
    return terms


def _print(made: Publication) -> None:
    table = figure_table("config", "split", "rows", left=2)
    for (config, split), rows in made.rows.items():
        table.add_row(config, split, f"{rows:,}")
    OUT.print(table)
    OUT.print(f"\n{made.path}: read README.md in it before you share it", markup=False)

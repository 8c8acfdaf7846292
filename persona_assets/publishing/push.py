"""Upload of a published folder to a model hub."""

from pathlib import Path

from persona_assets.publishing.card import MANIFEST
from persona_assets.publishing.rows import PublishError

TOKEN = "HF_TOKEN"
"""Environment variable with the hub's token; a login of the hub's own command serves, too."""


def push(folder: Path, repo: str, *, private: bool = True) -> str:
    """Upload a published folder as a dataset and return the address of the commit.

    The hub's client sends no file again that the repository has, so that an interrupted upload is
    repeated at the cost of the rest. Files of an earlier publication that this one lacks are
    removed, apart from those of the hub itself.

    Args:
        folder: Folder that `publish` has written.
        repo: Repository, `owner/name`; created if it does not exist.
        private: Create a repository that only its owner sees.

    Raises:
        PublishError: The folder is no publication, or the hub refuses the upload.
    """
    from huggingface_hub import HfApi

    # The base of all errors of the client, whose library is the hub's own choice.
    from huggingface_hub.errors import (  # type: ignore[attr-defined]
        HfHubHTTPError,
        HFValidationError,
        HTTPError,
    )

    if not (folder / MANIFEST).exists():
        raise PublishError(f"{folder} is no publication: publish into it first")
    earlier = ["*.parquet", "*.jsonl", "*.json", MANIFEST]
    api = HfApi()
    try:
        api.create_repo(repo, repo_type="dataset", private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo,
            repo_type="dataset",
            folder_path=folder,
            delete_patterns=earlier,
            commit_message="Publish with persona_assets",
        )
    except HFValidationError as error:
        raise PublishError(f"--push {repo}: write it as owner/name ({error})") from None
    except HfHubHTTPError as error:
        raise PublishError(
            f"the hub refuses the upload to {repo} ({error}): set {TOKEN} to a token that may "
            "write there, and publish again, which sends only what is missing"
        ) from None
    except HTTPError as error:
        raise PublishError(
            f"the hub cannot be reached ({error}): publish again, which sends only what is missing"
        ) from None
    return str(commit.commit_url)

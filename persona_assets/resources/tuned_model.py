"""A fine-tuned model in the evaluation role: its weights, its served name, and who serves it.

The name that a server lists contains the hash of the weights, so that no server of other weights is
measured in their place. A server that cannot list the name is refused, without exception: a figure
of unknown weights would be a point of the scaling curve like any other.
"""

import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from persona_assets.generation import EndpointError, EndpointRefused, Price
from persona_assets.generation.calls.free_requests import in_words, served_models
from persona_assets.resources.trained_models import model_sha256
from persona_assets.settings import EvaluationEndpoint, ModelEndpoint

if TYPE_CHECKING:
    import polars as pl

HASH_DIGITS = 12
"""Digits of the weights' hash in the name under which a model is served."""

PORT = 8000
"""Port of a server that a person starts where the settings name no address: vLLM's default."""

FREE = Price(input=Decimal(0), output=Decimal(0))
"""Price of a model on this machine."""

VLLM = (
    "vllm serve {path} --served-model-name {name} --host 127.0.0.1 --port {port} "
    # Otherwise a penalty in the model's own generation_config.json would change greedy answers.
    "--generation-config vllm"
)
LLAMA_SERVER = "llama-server --model {path} --alias {name} --host 127.0.0.1 --port {port}"


class WrongWeightsError(ValueError):
    """The weights on disk are not those of the table; the message names the remedy."""


@dataclass(frozen=True)
class TunedModel:
    """A fine-tuned model to evaluate.

    Attributes:
        path: File or folder to serve.
        sha256: Hash of the weights, which is part of the keys of the answers.
    """

    path: Path
    sha256: str

    @classmethod
    def from_table(cls, rows: "pl.DataFrame", data_dir: Path) -> "TunedModel | None":
        """Return the model of a `fine_tuned_model` table; None where nothing was trained."""
        return cls(data_dir / rows["path"][0], rows["sha256"][0]) if len(rows) else None

    def check_weights(self) -> None:
        """Make sure that the weights on disk are those of the table, before they are served.

        Raises:
            WrongWeightsError: They are missing, or others.
        """
        if not self.path.exists() or model_sha256(self.path) != self.sha256:
            raise WrongWeightsError(
                f"{self.path} does not hold the weights that were trained (sha256 {self.sha256}), "
                "so nothing was evaluated: materialize fine_tuned_model of that size again"
            )


class TunedEndpoint(EvaluationEndpoint):
    """Endpoint of a fine-tuned model whose server lists it by the hash of its weights."""

    @property
    def identity(self) -> str:
        """Identity of the model in keys; answers of a server that listed no such name differ."""
        return f"{super().identity}/listed"

    @property
    def by_name(self) -> bool:
        """True: an answer of another name is refused."""
        return True


def served_name(model: str, sha256: str) -> str:
    """Return the name under which a fine-tuned model is served.

    Args:
        model: Model of the evaluation endpoint.
        sha256: Hash of the weights.

    Example:
        >>> served_name("tuned", "0f1e2d3c4b5a69788796a5b4c3d2e1f0")
        'tuned-0f1e2d3c4b5a'
    """
    return f"{model}-{sha256[:HASH_DIGITS]}"


def is_served_name(model: str, name: str) -> bool:
    """Return True if a name is that of a fine-tuned model of an evaluation endpoint.

    Example:
        >>> is_served_name("tuned", "tuned-0f1e2d3c4b5a"), is_served_name("tuned", "tuned")
        (True, False)
    """
    return bool(re.fullmatch(rf"{re.escape(model)}-[0-9a-f]{{{HASH_DIGITS}}}", name))


def tuned_endpoint(endpoint: EvaluationEndpoint, tuned: TunedModel) -> ModelEndpoint:
    """Return the endpoint of a fine-tuned model, with the hash of its weights.

    An embedded model, which the project loads by its path, keeps the name of the settings.
    """
    if endpoint.embedded:
        update = {"weights_sha256": tuned.sha256, "price": FREE, "outage": 0.0}
        return endpoint.model_copy(update=update)
    values = dict(endpoint) | {
        "model": served_name(endpoint.model, tuned.sha256),
        "weights_sha256": tuned.sha256,
    }
    if endpoint.on_this_machine:
        # The key of a paid endpoint is nothing for a server that a person starts here.
        key = endpoint.api_key_env if "api_key_env" in endpoint.model_fields_set else None
        # A server of the run has a port of its own at each start.
        port = "" if server_command(endpoint, tuned) else f":{PORT}"
        url = f"http://127.0.0.1{port}/v1"
        values |= {"base_url": url, "price": FREE, "api_key_env": key, "serve": None, "outage": 0.0}
    return TunedEndpoint(**values)


def server_command(endpoint: EvaluationEndpoint, tuned: TunedModel) -> str | None:
    """Return the template of the command that starts the server of a model; None to start none."""
    if endpoint.serve is not None or not endpoint.on_this_machine or endpoint.embedded:
        return endpoint.serve
    template = _usual_command(tuned.path)
    return template if shutil.which(shlex.split(template)[0]) else None


def fill_command(template: str, tuned: TunedModel, name: str, port: int) -> list[str]:
    """Return the words of a command with path, name and port filled in.

    Example:
        >>> fill_command("serve '{path}' -p{port}", TunedModel(Path("/a b"), ""), "tuned-0", 80)
        ['serve', '/a b', '-p80']
    """
    parts: Mapping[str, str] = {
        "{path}": str(tuned.path.resolve()),
        "{name}": name,
        "{port}": str(port),
    }
    pattern = re.compile("|".join(map(re.escape, parts)))
    # Split first, so that a space in a path splits no word.
    return [pattern.sub(lambda part: parts[part[0]], word) for word in shlex.split(template)]


def require_served(endpoint: ModelEndpoint, tuned: TunedModel) -> None:
    """Make sure, at no cost, that a server lists a fine-tuned model by its name.

    Args:
        endpoint: Endpoint of the model, by `tuned_endpoint`.
        tuned: The model.

    Raises:
        EndpointError: It cannot be reached, or lists other models or none; the message contains
            the command that would serve the right weights.
    """
    port = urlsplit(endpoint.base_url or "").port or PORT
    command = shlex.join(fill_command(_usual_command(tuned.path), tuned, endpoint.model, port))
    remedy = (
        f"No problem was solved: serve the weights that were trained with `{command}`, or let the "
        "run start that server: set PERSONA_EVALUATION__SERVE to such a command and "
        "PERSONA_EVALUATION__BASE_URL to null"
    )
    try:
        names = served_models(endpoint)
    except EndpointError as error:
        raise type(error)(f"{error} {remedy}") from None
    if endpoint.model not in names:
        raise EndpointRefused(
            f"{endpoint.host} lists {in_words(names)} and not {endpoint.model!r}, so it may hold "
            f"other weights. {remedy}"
        )


def _usual_command(path: Path) -> str:
    return LLAMA_SERVER if path.suffix == ".gguf" else VLLM

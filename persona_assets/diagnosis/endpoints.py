"""Checks of the endpoints of a project, by requests that are free of charge."""

from collections.abc import Iterator

from persona_assets.assets.graph import project_assets
from persona_assets.diagnosis.finding import Finding, fault, note, well
from persona_assets.generation import EndpointError
from persona_assets.generation.calls.free_requests import listed_models
from persona_assets.generation.calls.probe import unlisted_clause
from persona_assets.local_models.embedder import EmbedderError
from persona_assets.local_models.server import LocalServerError
from persona_assets.local_models.weights import MODELS, WeightsError, is_fetched
from persona_assets.project import Project
from persona_assets.resources.models import Models

FINE_TUNED = "evaluation"
"""Role of the fine-tuned model, which is served when it exists."""


def check_endpoints(project: Project) -> Iterator[Finding]:
    """Check each role that an asset of the project asks: connection, key, listed model."""
    assets = project_assets(project).values()
    used = {role for asset in assets for role in asset.roles(project)}
    models = Models(project.settings, project.storage)
    for role in project.settings.roles:
        if role in used:
            yield _check(models, role)


def _check(models: Models, role: str) -> Finding:
    endpoint, subject = models.settings.endpoint(role), f"role {role}"
    try:
        models.check({role})
    except WeightsError as error:
        return fault(subject, str(error), "persona-assets fetch")
    except (EndpointError, EmbedderError, LocalServerError) as error:
        return fault(subject, str(error))
    if role == FINE_TUNED:
        return well(subject, "the fine-tuned model is served when it is evaluated")
    if endpoint.embedded:
        model, folder = endpoint.model, models.settings.model_dir
        if model in MODELS and not is_fetched(model, folder):
            return note(subject, f"{model} is not fetched yet", "persona-assets fetch")
        return well(subject, f"{model}, embedded")
    unlisted = unlisted_clause(endpoint.model, listed_models(endpoint))
    if unlisted:
        return note(
            subject,
            f"{endpoint.model} at {endpoint.host}: it can be reached{unlisted}",
            f"compare PERSONA_{role.upper()}__MODEL with the endpoint's names",
        )
    return well(subject, f"{endpoint.model} at {endpoint.host} can be reached")

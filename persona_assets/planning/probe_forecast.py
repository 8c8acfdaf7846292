"""Probes that a selection still needs: a tiny call per endpoint, model and shape of request."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from persona_assets.assets.graph import project_assets
from persona_assets.generation import Call, Request, pricing, to_call
from persona_assets.generation.calls.adaptation_file import Adaptations
from persona_assets.generation.calls.probe_shapes import ProbedShapes, tiny_calls
from persona_assets.project import Project
from persona_assets.resources.session import embedding_call, needs_probe


@dataclass(frozen=True)
class ProbeForecast:
    """Probes that come before the calls of some assets.

    Attributes:
        calls: Number of probes, if real calls have to be sent.
        most: US dollars that they cost at most; None if a price is unknown.
    """

    calls: int
    most: Decimal | None


def forecast_probes(project: Project, names: Iterable[str]) -> ProbeForecast:
    """Forecast the probes of assets, without a call.

    Args:
        project: Settings, prompts and storage.
        names: Names of the assets that have calls to send.
    """
    assets = project_assets(project)
    probes: dict[tuple[str, ...], Decimal | None] = {}
    for name in names:
        roles = assets[name].roles(project)
        for role, call in _calls(project, assets[name].reads.prompts, roles):
            endpoint = project.settings.endpoint(role)
            path = project.storage.endpoints
            probed = ProbedShapes(endpoint, Adaptations(endpoint, path), path)
            if call not in probed:
                place = (*probed.place.values(), probed.shape(call))
                probes[place] = pricing(endpoint).most(next(tiny_calls(call, probed)))
    costs = [cost for cost in probes.values() if cost is not None]
    return ProbeForecast(len(probes), sum(costs, Decimal(0)) if len(costs) == len(probes) else None)


def _calls(project: Project, prompts: Iterable[str], roles: set[str]) -> Iterator[tuple[str, Call]]:
    """Yield a call of the shape of each prompt, and of embeddings, with its role."""
    settings = project.settings
    if "embedder" in roles and needs_probe(settings.embedder):
        yield "embedder", embedding_call(settings, [""])
    for name in prompts:
        prompt = project.prompt(name)
        head = prompt.head
        for role, skeletons in (
            (head.role, prompt.skeletons),
            (head.answers, [prompt.assistant.strip(), "..."]),
        ):
            if role in roles and role is not None and needs_probe(settings.endpoint(role)):
                texts = zip(("system", "user"), skeletons, strict=True)
                messages = tuple({"role": who, "content": text} for who, text in texts if text)
                request = Request(role, messages, head.sampling, prompt.answer, head.format)
                yield role, to_call(request, settings.endpoint(role))

"""Models of the settings that their provider has retired or will retire."""

from collections.abc import Collection
from datetime import date

from persona_assets.generation.providers import provider_of
from persona_assets.settings import ROLES, Settings


def shutdown_notes(settings: Settings, today: date, roles: Collection[str] = ROLES) -> list[str]:
    """Return a sentence per role whose model's end of service is announced.

    The providers publish these dates; see `Provider.shutdowns`. An endpoint of another host may
    serve a model of the same name for longer, and gets no sentence.

    Args:
        settings: Models and endpoints of the roles.
        today: Date that separates past from future.
        roles: Roles to look at.

    Example:
        >>> for note in shutdown_notes(Settings.load(profile="paper"), date(2026, 11, 29)):
        ...     print(note[:58])
        writer: gpt-4 was shut down on 2026-10-23; its provider re
        solver: gpt-4o will be shut down on 2027-01-14; its provid
        second_solver: gpt-4-turbo was shut down on 2026-10-23; it
        judge: gpt-4-turbo-preview was shut down on 2026-03-26; it
    """
    notes: list[str] = []
    for role in filter(settings.has_role, settings.roles):
        if role not in roles:
            continue
        endpoint = settings.endpoint(role)
        shutdown = provider_of(endpoint).shutdowns.get(endpoint.model)
        if shutdown is None or endpoint.embedded:
            continue
        when = "was" if shutdown.day <= today else "will be"
        notes.append(
            f"{role}: {endpoint.model} {when} shut down on {shutdown.day}; its provider recommends "
            f"{shutdown.replacement}: set PERSONA_{role.upper()}__MODEL, or PERSONA_PROFILE=current"
        )
    return notes

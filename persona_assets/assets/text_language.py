"""Whether the personas of a shard are asked for in the language of their texts.

Earlier versions asked for English, whatever the text. Their tables keep to it: other requests would
be bought. A table whose prompt changed is asked anew anyway, and then follows its texts.
"""

from collections.abc import Mapping

from persona_assets.project import Project

FOLLOWED: Mapping[str, float] = {"language_of_text": 1.0}
"""Decision in the footer of a table that follows its texts."""


def follows_text(project: Project, shard: str) -> bool:
    """Return True unless an earlier version made the shard's personas with the current prompt."""
    footer = project.storage.footer("text_personas", shard)
    if footer is None or FOLLOWED.keys() <= footer.decisions.keys():
        return True
    prompt = project.prompt("text_to_persona", shard)
    return footer.prompt_versions.get(prompt.name) != prompt.version

"""Pictures in the UI: a small one shown in place, the full one behind its link."""

import dagster as dg

from persona_assets.plots.pictures import Picture, svg_markdown


def picture(name: str, drawn: Picture) -> dict[str, dg.MetadataValue]:
    """Both sizes of a picture as metadata: `name` and `name_in_full`."""
    return {
        name: dg.MetadataValue.md(svg_markdown(drawn.tiny, name)),
        f"{name}_in_full": dg.MetadataValue.md(svg_markdown(drawn.full, name)),
    }

"""Pictures as metadata: a thumbnail shown in place, the full size behind its link."""

import dagster as dg

from persona_assets.plots.pictures import Picture, svg_markdown


def picture(name: str, drawn: Picture) -> dict[str, dg.MetadataValue]:
    """Return both sizes of a picture: `name` and `name_in_full`."""
    return {
        name: dg.MetadataValue.md(svg_markdown(drawn.tiny, name)),
        f"{name}_in_full": dg.MetadataValue.md(svg_markdown(drawn.full, name)),
    }

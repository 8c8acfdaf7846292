"""Configuration of the documentation site: `make docs`."""

project = "persona_assets"
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "persona_assets"
# Links to headings are checked like links to pages.
myst_heading_anchors = 3

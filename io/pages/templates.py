"""Pages to look at: templates beside this file that share one style."""

from functools import cache
from pathlib import Path

import jinja2


@cache  # compiling one takes a tenth of a second, too much for each of a hundred small scenes
def page_template(name: str) -> jinja2.Template:
    """Give the template `name`; what it is rendered with is escaped, and must not lack anything."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(name)

"""The pages lead where they say."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("segmentation/models/*.md")])


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        place = page.parent / path if path else page

        assert place.exists(), f"{page.name} links to {target}"
        headings = (
            [slug(line.lstrip("# ")) for line in place.read_text().splitlines() if line.startswith("#")]
            if anchor
            else []
        )
        assert not anchor or anchor in headings, f"{page.name} links to {target}"


def test_every_decision_is_listed():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")

    assert [path.name for path in ROOT.glob("docs/decisions/*.md") if path.name not in index] == []


def test_the_readme_shows_no_command_that_is_not_there():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    cli = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "segflow" / "cli").glob("*.py"))
    shown = set(re.findall(r"^(?:\.venv/bin/)?segflow ([a-z]+)", readme, re.MULTILINE))

    assert shown >= {"run", "plan", "verify"}
    assert [name for name in shown if f"def {name}(" not in cli and f'name="{name}"' not in cli] == []

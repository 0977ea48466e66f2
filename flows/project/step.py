"""What a step of a project answers: what it did, and what comes next."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectStep:
    """The answer of one step.

    Attributes
    ----------
    lines
        What was found and done, for people.
    next_step
        The command that comes next, and what it is for.
    facts
        The same for machines.
    """

    lines: tuple[str, ...]
    next_step: str
    facts: dict[str, Any] = field(default_factory=dict)

    def describe(self) -> str:
        """Give the lines, and the next step as the last one."""
        return "\n".join((*self.lines, f"next: {self.next_step}"))

    def as_dict(self) -> dict[str, Any]:
        """Give the facts with the next step."""
        return {**self.facts, "next": self.next_step}


def project_command(text: str, folder: Path) -> str:
    """Give a command of `segflow project`, with the folder where it is not the current one."""
    where = "" if folder.resolve() == Path.cwd() else f" --project {folder}"
    return f"segflow project {text}{where}"


def align(rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Give rows of a table as lines: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return tuple(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )

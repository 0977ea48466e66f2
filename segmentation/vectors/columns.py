"""Tables of columns: values with one array for each field, of one length."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """A table; each field of a subclass is a column: an array whose first axis is the rows, or a table."""

    def __len__(self) -> int:
        """Give the number of rows."""
        return len(getattr(self, fields(self)[0].name))

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Self:
        """Give the rows of an index or a mask."""
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        return type(self)(
            **{name: c.take(which) if isinstance(c, Columns) else c[which] for name, c in columns.items()}
        )

    @classmethod
    def concatenate(cls, tables: Sequence[Self]) -> Self:
        """Give the rows of all tables, of which there is at least one, in their order."""
        columns = {f.name: [getattr(table, f.name) for table in tables] for f in fields(cls)}
        return cls(
            **{
                name: type(parts[0]).concatenate(parts) if isinstance(parts[0], Columns) else np.concatenate(parts)
                for name, parts in columns.items()
            }
        )

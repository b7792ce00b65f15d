"""Named entries of one kind: metrics, perturbations, datasets, ordinations, nulls."""

from collections.abc import Hashable, Iterable
from typing import Any, Protocol, TypeVar

from akpsim.errors import AkpsimError, unknown_name


class Named(Protocol):
    """Anything with a name."""

    @property
    def name(self) -> str:
        """The word a user types."""


Entry = TypeVar("Entry", bound=Named)


class Registry(dict[str, Entry]):
    """A dictionary of entries by name whose unknown keys raise a helpful `UnknownName`.

    Parameters
    ----------
    kind : str
        What an entry is, in one word, for messages.
    entries : iterable
        Entries in the order in which they are listed.
    """

    def __init__(self, kind: str, entries: Iterable[Entry]) -> None:
        super().__init__()
        self.kind = kind
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Add an entry of your own; a name already taken is an error."""
        if entry.name in self:
            raise AkpsimError(f"a {self.kind} named {entry.name!r} exists already")
        self[entry.name] = entry

    def __getitem__(self, name: Any) -> Entry:
        """Return an entry; what cannot even be a name is as unknown as any other."""
        return self.__missing__(name) if not isinstance(name, Hashable) else super().__getitem__(name)  # type: ignore[index]

    def __missing__(self, name: Any) -> Entry:
        raise unknown_name(self.kind, name, self)

"""Small charts in rows and columns, and the legend that they share."""

from dataclasses import dataclass, field
from pathlib import Path

from neuronsweep.report.svgs.plot import Entry, file, legend

# Pixels of a panel.
SIZE = (240, 190)


@dataclass
class Gallery:
    """Panels row by row, a place without one None; what they share, explain and show.

    Attributes:
        shared: elements that several panels use, by their ids.
        runs: directories of the runs that are seen best.
    """

    columns: int
    panels: list[str | None] = field(default_factory=list)
    shared: dict[str, str] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    runs: list[Path] = field(default_factory=list)

    def definitions(self) -> str:
        """What the panels use."""
        return f"<defs>{''.join(self.shared.values())}</defs>"

    def share(self, path: str) -> str:
        """The id of a path that panels of the same data draw in the same place."""
        for key, element in self.shared.items():
            if f'"{path}"' in element:
                return key
        key = f"samples-{len(self.shared)}"
        self.shared[key] = f'<path id="{key}" d="{path}"/>'
        return key

    def explain(self, name: str, sample: str) -> None:
        """Add to the legend what is not there yet."""
        self.entries.setdefault(name, Entry(name, sample))

    def file(self) -> str:
        """The gallery as a file of its own."""
        width, height = SIZE
        columns = min(self.columns, len(self.panels))
        key, top = legend(self.entries.values(), max(columns * width, 480), 6)
        placed = [
            panel.replace("<svg ", f'<svg x="{i % columns * width}" y="{top + i // columns * height:g}" {_sized()} ', 1)
            for i, panel in enumerate(self.panels)
            if panel
        ]
        rows = -(-len(self.panels) // columns)
        return file((max(columns * width, 480), top + rows * height), self.definitions(), key, *placed)


def _sized() -> str:
    return f'width="{SIZE[0]}" height="{SIZE[1]}"'

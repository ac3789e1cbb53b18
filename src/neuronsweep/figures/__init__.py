"""Pictures by matplotlib, which is imported late: of one fit (fit) and of many fits side by side (multiples)."""

from neuronsweep.figures.fit import Painter, fit_png, title, title_then

__all__ = ["Painter", "fit_png", "title", "title_then"]

"""Pictures of one fit (fit), of many beside each other (multiples); matplotlib is imported late."""

from neuronsweep.figures.fit import Painter, fit_png, title, title_then

__all__ = ["Painter", "fit_png", "title", "title_then"]

"""neuronsweep: what can n neurons learn?"""

__version__ = "0.1.0"

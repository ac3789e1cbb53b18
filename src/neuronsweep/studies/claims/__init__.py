"""The claims of the source articles, and what a run must show for a claim to hold.

The settings of each experiment are in conf/experiment. Article words are paraphrased. Thresholds are ours: articles
show one picture of one seed, and a claim that cannot fail is none.
"""

from neuronsweep.studies.claims import moons, parabola, sine, thermometer

CLAIMS = (*sine.CLAIMS, *moons.CLAIMS, *thermometer.CLAIMS, *parabola.CLAIMS)

"""What the source articles claim, and what has to be seen in a run for the claim to hold there.

The settings of each experiment are in conf/experiment. Article words are paraphrased. Thresholds are ours: articles
show one picture of one seed, and a claim that cannot fail is none.
"""

from neuronsweep.studies.claims import moons, parabola, sine, thermometer

CLAIMS = (*sine.CLAIMS, *moons.CLAIMS, *thermometer.CLAIMS, *parabola.CLAIMS)

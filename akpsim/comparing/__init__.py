"""All pairs of representations: labelled in, labelled out."""

from akpsim.comparing.between import between_families as between_families
from akpsim.comparing.ceiling import noise_ceiling as noise_ceiling
from akpsim.comparing.compare import compare as compare
from akpsim.comparing.distance import as_distance as as_distance
from akpsim.comparing.significance import significance as significance

"""All pairs of representations: labelled in, labelled out."""

from akpsim.comparing.between import between_families as between_families
from akpsim.comparing.ceiling import noise_ceiling as noise_ceiling
from akpsim.comparing.compare import compare as compare
from akpsim.comparing.distance import as_distance as as_distance
from akpsim.comparing.maps import from_maps as from_maps
from akpsim.comparing.minibatch import minibatch_cka as minibatch_cka
from akpsim.comparing.pairs import similarity_pairs as similarity_pairs
from akpsim.comparing.series import cache_folder as cache_folder
from akpsim.comparing.series import compare_over as compare_over
from akpsim.comparing.series import compare_within as compare_within
from akpsim.comparing.significance import significance as significance

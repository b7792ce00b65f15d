from .comparing import as_distance as as_distance
from .comparing import between_families as between_families
from .comparing import compare as compare
from .errors import AkpsimError as AkpsimError
from .features import FEATURE_SUFFIXES as FEATURE_SUFFIXES
from .features import read_features as read_features
from .karenina import anosim as anosim
from .karenina import disperse as disperse
from .karenina import disperse_layers as disperse_layers
from .karenina import permanova as permanova
from .karenina import permdisp as permdisp
from .karenina import wd_star as wd_star
from .metrics import METRICS as METRICS
from .metrics import Metric as Metric
from .ordination import ORDINATIONS as ORDINATIONS
from .ordination import ordinate as ordinate
from .ordination import pcoa as pcoa
from .store import Run as Run
from .store import open_result as open_result
from .store import open_run as open_run
from .store import save as save
from .study import Study as Study
from .study import load_study as load_study

__version__: str

from .errors import AkpsimError as AkpsimError
from .ordination import ORDINATIONS as ORDINATIONS
from .ordination import ordinate as ordinate
from .ordination import pcoa as pcoa
from .store import open_result as open_result
from .store import open_run as open_run
from .store import save as save
from .study import Study as Study
from .study import load_study as load_study

__version__: str

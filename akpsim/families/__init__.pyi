from .capturing import capture as capture
from .datasets import DATASETS as DATASETS
from .datasets import Dataset as Dataset
from .datasets import Images as Images
from .perturbations import PERTURBATIONS as PERTURBATIONS
from .perturbations import Moment as Moment
from .perturbations import Perturbation as Perturbation
from .training.family import train_family as train_family

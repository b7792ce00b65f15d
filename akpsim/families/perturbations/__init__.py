"""What can be done to a member in training.  `PERTURBATIONS` lists it; add your own with ``PERTURBATIONS.add``."""

from akpsim.families.perturbations.activations import swap_activation
from akpsim.families.perturbations.labels import label_noise
from akpsim.families.perturbations.losses import swap_loss
from akpsim.families.perturbations.perturbation import Moment as Moment
from akpsim.families.perturbations.perturbation import Perturbation as Perturbation
from akpsim.registry import Registry

PERTURBATIONS: Registry[Perturbation] = Registry("perturbation", [swap_activation, swap_loss, label_noise])

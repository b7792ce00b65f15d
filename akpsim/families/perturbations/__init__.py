"""What can be done to a member in training.  `PERTURBATIONS` lists it; add your own with ``PERTURBATIONS.add``."""

from akpsim.families.perturbations.activations import swap_activation
from akpsim.families.perturbations.dropout import dropout
from akpsim.families.perturbations.gradients import gradient_noise
from akpsim.families.perturbations.initializers import initializer
from akpsim.families.perturbations.inputs import blur, input_noise
from akpsim.families.perturbations.labels import label_noise
from akpsim.families.perturbations.losses import swap_loss
from akpsim.families.perturbations.optimizer import learning_rate_shock
from akpsim.families.perturbations.perturbation import Moment as Moment
from akpsim.families.perturbations.perturbation import Perturbation as Perturbation
from akpsim.families.perturbations.weights import lesion, weight_noise
from akpsim.registry import Registry

PERTURBATIONS: Registry[Perturbation] = Registry(
    "perturbation",
    [
        swap_activation,
        swap_loss,
        initializer,
        label_noise,
        input_noise,
        blur,
        weight_noise,
        lesion,
        dropout,
        gradient_noise,
        learning_rate_shock,
    ],
)

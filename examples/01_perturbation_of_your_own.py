"""A new perturbation, defined outside the package, trained with and compared with the baseline."""

import tempfile

import akpsim
from akpsim.families import PERTURBATIONS, Perturbation, train_family


def shrink(network, moment, *, by=0.1):
    """Multiply every weight by (1 - by * strength)."""
    for parameter in network.parameters():
        parameter.data *= 1 - by * moment.strength


PERTURBATIONS.add(Perturbation("shrink", "weights", shrink, "shrink all weights; dose: by how much"))
shrunk = {"name": "shrunk", "stress": "mild", "perturbations": [{"name": "shrink", "every": 2, "by": 0.5}]}
study = akpsim.load_study(
    {"members": 3, "training": {"epochs": 6}, "families": [{"name": "baseline"}, shrunk]},
)

with tempfile.TemporaryDirectory() as folder:
    run = train_family(study, f"{folder}/run")
    print(akpsim.between_families(akpsim.compare(run.representations(), metric="cka")))

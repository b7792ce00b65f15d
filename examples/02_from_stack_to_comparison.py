"""From z-stacks to a comparison of two families: synthetic wings, drawn here, not photographs."""

import tempfile
from pathlib import Path

import akpsim
from akpsim.families import train_family
from akpsim.families.datasets.stacking import Recipe, stack_folder
from akpsim.families.datasets.verify import verify_folder
from akpsim.families.datasets.wings import write_wings
from akpsim.study import Data

with tempfile.TemporaryDirectory() as scratch:
    folder = Path(scratch)

    # 13 layers, two channels, one sub-folder a class: what a microscope leaves behind
    write_wings(
        folder / "scans", Data(name="wings", options={"tumour": 24, "healthy": 36, "size": 64, "difficulty": 0})
    )
    stack_folder(folder / "scans", folder / "images", Recipe(projection="max", colours=("green", "magenta")))

    found = verify_folder(folder / "images")
    print(found.counts, "sound" if found.sound else found.damaged + found.across)

    study = akpsim.load_study(
        {
            "name": "wings",
            "members": 3,
            "data": {"name": "folder", "path": str(folder / "images"), "image_size": 32},
            "network": {"backbone": "none", "dense": [32, 16]},
            "training": {"epochs": 15, "batch_size": 16},
            "families": [
                {"name": "baseline"},
                {
                    "name": "noisy",
                    "stress": "severe",
                    "dose": 0.8,
                    "perturbations": [{"name": "label_noise", "strength": 0.8}],
                },
            ],
        }
    )
    run = train_family(study, folder / "run")
    print(akpsim.between_families(akpsim.compare(run.representations(), metric="cka")))

"""The frozen design of a study, read from one TOML file; every key has a default."""

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import AfterValidator, Field, model_validator

from akpsim.errors import InvalidStudy
from akpsim.study.schedule import PerturbationSpec
from akpsim.study.section import Count, Flag, Fraction, Members, Real, Section, Whole

Stress = Literal["none", "mild", "severe"]
Stream = Literal["weights", "batches", "perturbation"]


class Split(Section):
    """Shares of the images; no image is in two of them.

    `probe` images are those whose representations are compared; accuracy is measured on `test` images, so that a
    member is not called happy for the very images on which its representation is looked at.
    """

    train: Fraction = 0.5
    """Share that networks learn from."""
    validation: Fraction = 0.1
    """Share whose loss and accuracy are followed at each epoch."""
    probe: Fraction = 0.2
    """Share whose representations are compared."""
    test: Fraction = 0.2
    """Share on which accuracy is measured."""

    @model_validator(mode="after")
    def _sums_to_one(self) -> "Split":
        shares = self.train + self.validation + self.probe + self.test
        if empty := [name for name in ("train", "validation", "probe", "test") if getattr(self, name) == 0]:
            raise ValueError(f"all four shares must be above 0, got `{empty[0]}` = 0")
        if abs(shares - 1) > 1e-9:
            raise ValueError(f"the four shares must sum to 1, got a sum of {shares:g}")
        return self


class Data(Section):
    """Which images: a name of `akpsim list datasets`, or a folder with one sub-folder a class.

    `class_map` renames classes; two with the same new name are joined, and one renamed to "" is left out.
    `options` are those of the data set itself, such as the difficulty of the synthetic wings.
    """

    name: str = "digits"
    """A name of `akpsim list datasets`."""
    path: str | None = None
    """The folder, list or file, for data sets that have one."""
    image_size: Annotated[Whole, Field(ge=8)] | None = None
    """Pixels a side to which images are scaled."""
    class_map: dict[str, str] | None = None
    """New names of classes; two with the same are joined, one renamed to "" is left out."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Of the data set itself, such as the difficulty of the synthetic wings."""
    split: Split = Split()
    """See `[data.split]`."""
    seed: Whole = 0
    """Deals images to the split."""


class Network(Section):
    """A backbone and a head of dense layers; the last layer, the logits, is added.

    `input_size` is the edge to which images are resized for the backbone; by default what it was made for (299 pixels
    for Inception v3), or no resizing where it takes any size.
    """

    backbone: str = "none"
    """`none` (the pixels), `small_cnn`, or a torchvision classification network."""
    weights: str = "imagenet"
    """Of the backbone: `imagenet`, `random`, or the path of a file."""
    frozen: Flag = True
    """Whether the backbone stays as it is; its features are then computed once."""
    input_size: Annotated[Whole, Field(ge=1)] | None = None
    """Pixels a side for the backbone; by default what it was made for."""
    dense: Annotated[tuple[Count, ...], Field(min_length=1)] = (64, 32)
    """Widths of the hidden layers `dense_1`, `dense_2`, ...; `logits` comes after them."""
    activation: str = "relu"
    """Of the hidden layers: `relu`, `tanh`, `softplus`, ..."""


class Training(Section):
    """What all families share unless they say otherwise.

    `initializer` fills the weights of the hidden layers that `initializer_layers` names; others start as in Keras,
    from glorot_uniform.  `class_weights` multiply the loss of each sample by a number for its class: "balanced" is
    samples / (classes * samples of the class) among the training images, and a table gives the numbers by name.
    `checkpoint_every` is how many epochs lie between two checkpoints of a member, 0 for none; by default there is one a
    minute, so that only members that take longer have any.  It changes no result and is no part of the study's hash.
    """

    epochs: Count = 20
    """Of a member."""
    batch_size: Count = 32
    """Images an update; the last of an epoch may have fewer."""
    loss: str = "cross_entropy"
    """`cross_entropy`, `kl_divergence`, `poisson`, `mean_squared_error`, `focal` or `label_smoothing`."""
    class_weights: Literal["none", "balanced"] | dict[str, Annotated[Real, Field(ge=0)]] = "none"
    """Factors of the loss by class; "balanced" or a table."""
    optimizer: str = "rmsprop"
    """`rmsprop`, `sgd`, `momentum`, `adam`, `adamw` or `adagrad`."""
    flavour: Literal["keras", "keras-legacy", "torch"] = "keras"
    """Whose arithmetic and defaults the optimizer has."""
    learning_rate: Annotated[Real, Field(gt=0)] | None = None
    """By default the optimizer's own in its flavour."""
    initializer: str = "glorot_uniform"
    """Of the kernels that `initializer_layers` names."""
    initializer_layers: Annotated[tuple[str, ...], Field(min_length=1)] = ("dense_*",)
    """Names or patterns of hidden layers; others start from glorot_uniform."""
    checkpoint_every: Annotated[Whole, Field(ge=0)] | None = None
    """Epochs between checkpoints, 0 for none; by default one a minute."""


class Family(Section):
    """A design cell: what its members share.  Unset values are those of `[training]`.

    `dose` is how much is done to its members; by default what the first of its perturbations says of itself, and 0
    without any.  `group` puts families into one figure.  A list of initializers is taken in turn by the members.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.]*$", max_length=60)]
    """Stands in the names of its members, `NAME-SEED`."""
    group: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=60)] | None = None
    """Families of one group share a figure."""
    stress: Stress = "none"
    """Your word for how much is done to it; a coordinate of every result."""
    dose: Annotated[Real, Field(ge=0)] | None = None
    """Your number for it; by default what its first perturbation says of itself."""
    members: Members | None = None
    """Networks; by default those of the study."""
    epochs: Count | None = None
    """By default those of `[training]`."""
    loss: str | None = None
    """Likewise."""
    optimizer: str | None = None
    """Likewise."""
    learning_rate: Annotated[Real, Field(gt=0)] | None = None
    """Likewise."""
    initializer: str | Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Likewise; a list is taken in turn by its members."""
    vary: tuple[Stream, ...] = ("weights", "batches", "perturbation")
    """What differs between members by their seed; the rest follows the study's."""
    perturbations: tuple[PerturbationSpec, ...] = ()
    """What is done to its members, see `[[families.perturbations]]`."""

    @property
    def perturbation(self) -> str:
        """What is done to its members, in one word: the names joined by ``+``, or ``none``."""
        return "+".join(spec.name for spec in self.perturbations) or "none"


def _known_pool(pool: str) -> str:
    if not re.fullmatch(r"avg|max|none|points:[1-9]\d*", pool):
        raise ValueError(f"must be avg, max, none or points:K, such as points:5, got {pool!r}")
    return pool


class Capture(Section):
    """Which layers are written, and when.

    `epochs` are counted from 1, 0 is the untrained network and negative ones count from the end; `every` adds each
    k-th epoch.  `around_swaps` adds the epoch before each event, and the moment after it, before the batches of its
    epoch: for a swap at epoch 3 these are 2 and 2.5.  `populations` is how many points the trajectories of neuron
    populations have; 0 for none.  `weights` keeps the weights at the same epochs.  `compression` is how representations
    are stored: `lossless`, `none`, `zstd` (smaller, opens in fewer programs) or `rounded` (to 10 bits of the mantissa,
    a third of the size).  `pool` is what is done to maps: `avg` or `max` over space, `none`, or `points:K` for the
    same K places of every image.
    """

    layers: Annotated[tuple[str, ...], Field(min_length=1)] = ("dense_*", "logits")
    """Names or patterns; `akpsim` lists them in the error where none fits."""
    epochs: tuple[Whole, ...] = (0, -1)
    """Whole epochs; 0 is the untrained network, -1 the last epoch."""
    every: Count | None = None
    """And the multiples of this."""
    around_swaps: Flag = False
    """And around each event: before the batches of epoch 3 these are 2 and the half epoch 2.5, after the event."""
    pool: Annotated[str, AfterValidator(_known_pool)] = "avg"
    """What is done to maps: `avg`, `max`, `none`, or `points:K`, the same K places of every image."""
    populations: Annotated[Whole, Field(ge=0)] = 120
    """About so many points of the trajectories of neuron populations, one every k updates; 0 for none."""
    weights: Flag = False
    """Keep the weights at these epochs, too."""
    compression: Literal["lossless", "none", "zstd", "rounded"] = "lossless"
    """How representations are stored."""

    def epochs_of(self, total: int) -> tuple[Whole, ...]:
        """Return the captured epochs of a training of `total` epochs, in order.

        Raises
        ------
        InvalidStudy
            If one lies past either end.
        """
        chosen = [epoch + total + 1 if epoch < 0 else epoch for epoch in self.epochs]
        for asked, epoch in zip(self.epochs, chosen, strict=True):
            if not 0 <= epoch <= total:
                raise InvalidStudy(f"capture asks for epoch {asked}, but training has epochs 0 to {total}")
        return tuple(sorted({*chosen, *range(self.every or total + 1, total + 1, self.every or 1)}))


class Member(Section):
    """One network to train: a family and a seed."""

    family: Family
    seed: Whole

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.family.name}-{self.seed}"


class Happiness(Section):
    """Which members count as happy: a rule fixed before their representations are looked at.

    `margin`: accuracy on the test images above the majority baseline by `margin`.  `median`: above the median of all
    members, or of those that share the coordinate `block` (an optimizer, a seed).  `continuous`: no groups; how
    far a member is from the others is regressed on accuracy.  A member that gives one class to the share `collapsed`
    of the test images is flagged.
    """

    rule: Literal["margin", "median", "continuous"] = "margin"
    """What makes a member happy."""
    margin: Fraction = 0.1
    """For `margin`: accuracy above the majority baseline."""
    block: str | None = None
    """For `median`: the coordinate within which it is taken."""
    collapsed: Fraction = 0.95
    """Share of test images in one class from which a member is flagged."""


class Study(Section):
    """The whole design; what is stored with a run is this, with the defaults written out."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=60)] = "study"
    """Of the run folder, `runs/NAME`."""
    seed: Annotated[Whole, Field(ge=0)] = 0
    """Of the first member of each family; the next has one more."""
    members: Members = 6
    """Networks a family."""
    data: Data = Data()
    """See `[data]`."""
    network: Network = Network()
    """See `[network]`."""
    training: Training = Training()
    """See `[training]`."""
    capture: Capture = Capture()
    """See `[capture]`."""
    happiness: Happiness = Happiness()
    """See `[happiness]`."""
    families: Annotated[tuple[Family, ...], Field(min_length=1)] = (Family(name="baseline"),)
    """See `[[families]]`."""

    @model_validator(mode="after")
    def _names_differ(self) -> "Study":
        names = [family.name for family in self.families]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two families are named {twice[0]!r}")
        return self

    def design(self) -> Iterator[Member]:
        """Give every member, family by family, with the values of `[training]` filled in."""
        for family in self.families:
            shared = {key: value for key, value in self.training if key in Family.model_fields}
            given = {key: value for key, value in family if value is not None}
            for seed in range(family.members or self.members):
                own = (
                    {}
                    if isinstance(family.initializer, str | None)
                    else {"initializer": family.initializer[seed % len(family.initializer)]}
                )
                yield Member(family=Family(**(shared | given | own)), seed=self.seed + seed)

    def to_toml(self) -> str:
        """Return the study as TOML with every default written out."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))

    @property
    def hash(self) -> str:
        """Sixteen hexadecimal digits that differ between studies that differ in anything but the name."""
        content = json.dumps(
            self.model_dump(mode="json", exclude={"name": True, "training": {"checkpoint_every"}}), sort_keys=True
        )
        return hashlib.sha256(content.encode()).hexdigest()[:16]

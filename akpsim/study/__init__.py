"""The frozen design of a study: what its sections are, and how it is read."""

from akpsim.study.loading import load_study as load_study
from akpsim.study.loading import presets as presets
from akpsim.study.schedule import PerturbationSpec as PerturbationSpec
from akpsim.study.schedule import Schedule as Schedule
from akpsim.study.section import Section as Section
from akpsim.study.sections import Capture as Capture
from akpsim.study.sections import Data as Data
from akpsim.study.sections import Family as Family
from akpsim.study.sections import Happiness as Happiness
from akpsim.study.sections import Member as Member
from akpsim.study.sections import Network as Network
from akpsim.study.sections import Split as Split
from akpsim.study.sections import Study as Study
from akpsim.study.sections import Training as Training

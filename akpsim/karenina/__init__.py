"""The tests of the Anna Karenina principle: dispersion, location, verdict."""

from akpsim.karenina.attributes import class_means as class_means
from akpsim.karenina.attributes import read_attributes as read_attributes
from akpsim.karenina.calibration import calibrate as calibrate
from akpsim.karenina.continuous import disperse_on as disperse_on
from akpsim.karenina.correlation_graph import correlation_graph as correlation_graph
from akpsim.karenina.crisis import crisis as crisis
from akpsim.karenina.disperse import disperse as disperse
from akpsim.karenina.happiness import happiness as happiness
from akpsim.karenina.layers import disperse_layers as disperse_layers
from akpsim.karenina.location import anosim as anosim
from akpsim.karenina.location import wd_star as wd_star
from akpsim.karenina.mantel import mantel as mantel
from akpsim.karenina.permanova import permanova as permanova
from akpsim.karenina.permdisp import permdisp as permdisp
from akpsim.karenina.readout import without_readout as without_readout
from akpsim.karenina.tautology import disperse_without_readout as disperse_without_readout

"""Neuron populations and the Lotka-Volterra systems fitted to them, against honest nulls."""

from akpsim.dynamics.bootstrap import bootstrap_lotka_volterra as bootstrap_lotka_volterra
from akpsim.dynamics.curves import profile_lotka_volterra as profile_lotka_volterra
from akpsim.dynamics.feature_map import feature_map as feature_map
from akpsim.dynamics.forms import FORMS as FORMS
from akpsim.dynamics.general import fit_dynamics as fit_dynamics
from akpsim.dynamics.interaction import interaction_test as interaction_test
from akpsim.dynamics.lotka_volterra import fit_lotka_volterra as fit_lotka_volterra
from akpsim.dynamics.members import fit_members as fit_members
from akpsim.dynamics.noise import NOISES as NOISES
from akpsim.dynamics.nulls import NULLS as NULLS
from akpsim.dynamics.populations import cluster_neurons as cluster_neurons
from akpsim.dynamics.populations import populations as populations
from akpsim.dynamics.populations import swap_times as swap_times
from akpsim.dynamics.segments import fit_segments as fit_segments
from akpsim.dynamics.selection import select_dynamics as select_dynamics
from akpsim.dynamics.simulation import simulate_dynamics as simulate_dynamics
from akpsim.dynamics.simulation import simulate_lotka_volterra as simulate_lotka_volterra
from akpsim.dynamics.tables import read_trajectory as read_trajectory

"""The run folder and the files in it."""

from akpsim.store.results import open_result as open_result
from akpsim.store.results import provenance as provenance
from akpsim.store.results import save as save
from akpsim.store.run import MEMBER_COORDINATES as MEMBER_COORDINATES
from akpsim.store.run import Run as Run
from akpsim.store.run import open_member as open_member
from akpsim.store.run import open_run as open_run
from akpsim.store.run import open_table as open_table
from akpsim.store.run import stored as stored
from akpsim.store.writer import MemberWriter as MemberWriter
from akpsim.store.writer import layer_group as layer_group

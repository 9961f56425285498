"""Reading incidents and layers of context: a row is accepted, quarantined with a reason, or a duplicate."""

from tranquillite_ml.intake.context import Context, read_context
from tranquillite_ml.intake.delays import incomplete_days, reporting_delay
from tranquillite_ml.intake.incident_files import read_incidents
from tranquillite_ml.intake.incidents import Incidents

__all__ = ["Context", "Incidents", "incomplete_days", "read_context", "read_incidents", "reporting_delay"]

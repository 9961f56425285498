"""Reading recorded incidents: every row is accepted, quarantined with a reason, or a duplicate."""

from tranquillite_ml.intake.delays import incomplete_days, reporting_delay
from tranquillite_ml.intake.incidents import Incidents, read_incidents

__all__ = ["Incidents", "incomplete_days", "read_incidents", "reporting_delay"]

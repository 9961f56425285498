"""Reading recorded incidents: every row is accepted, quarantined with a reason, or a duplicate."""

from tranquillite_ml.intake.incidents import Incidents, read_incidents

__all__ = ["Incidents", "read_incidents"]

"""Audit: checks with a status that follows from measurements and thresholds alone."""

from tranquillite_ml.audit.auditing import audit
from tranquillite_ml.audit.check import Check, Measurement, derive_status
from tranquillite_ml.audit.evidence import Evidence

__all__ = ["Check", "Evidence", "Measurement", "audit", "derive_status"]

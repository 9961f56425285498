"""Who answers for a forecast, what is allowed, and the record of what was decided."""

from tranquillite_ml.governance.categories import (
    Refusal,
    check_categories,
    require_allowed,
    unknown_origins,
)
from tranquillite_ml.governance.decisions import Decision, objections
from tranquillite_ml.governance.features import denied_feature
from tranquillite_ml.governance.file import Governance, load_governance, template
from tranquillite_ml.governance.log import Entry, LogState
from tranquillite_ml.governance.names import is_enforcement, plain_words
from tranquillite_ml.governance.signoff import (
    SignOff,
    Verified,
    read_signoff,
    sign_file_command,
    verify_signoff,
    write_signoff,
)
from tranquillite_ml.governance.thresholds import CHECKS, Bound, Limit, Thresholds, load_thresholds
from tranquillite_ml.governance.waivers import Waiver, active_waivers

__all__ = [
    "CHECKS",
    "Bound",
    "Decision",
    "Entry",
    "Governance",
    "Limit",
    "LogState",
    "Refusal",
    "SignOff",
    "Thresholds",
    "Verified",
    "Waiver",
    "active_waivers",
    "check_categories",
    "denied_feature",
    "is_enforcement",
    "load_governance",
    "load_thresholds",
    "objections",
    "plain_words",
    "read_signoff",
    "require_allowed",
    "sign_file_command",
    "template",
    "unknown_origins",
    "verify_signoff",
    "write_signoff",
]

"""`wavevit audit`: anyone's model, examined in one command."""

from wavevit.auditing.audit import audit
from wavevit.auditing.metrics import METRICS, Bound, Metric, parse_bounds
from wavevit.auditing.report import AuditReport
from wavevit.auditing.samples import Samples
from wavevit.auditing.verdicts import THRESHOLDS

__all__ = [
    "METRICS",
    "THRESHOLDS",
    "AuditReport",
    "Bound",
    "Metric",
    "Samples",
    "audit",
    "parse_bounds",
]

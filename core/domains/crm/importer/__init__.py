"""Import of deals from any usual CRM export."""

from core.domains.crm.importer.export import rejected_csv, safe_cell, to_csv
from core.domains.crm.importer.mapping import FIELDS
from core.domains.crm.importer.service import preview, run_import
from core.domains.crm.importer.shapes import ColumnUse, ImportResult, Options, Preview, Progress, Rejected, StageLine

__all__ = [
    "FIELDS", "ColumnUse", "ImportResult", "Options", "Preview", "Progress", "Rejected", "StageLine", "preview",
    "rejected_csv", "run_import", "safe_cell", "to_csv",
]  # fmt: skip

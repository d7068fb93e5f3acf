"""Every planted defect, by what it is a defect of."""

from __future__ import annotations

from benchmarks.mutants.catalogue import (
    batches,
    book,
    found,
    leading,
    memory,
    reconciliation,
    reports,
    reviewed,
    sending,
    sql,
)

MUTANTS = (
    *sending.MUTANTS,
    *reports.MUTANTS,
    *book.MUTANTS,
    *reconciliation.MUTANTS,
    *leading.MUTANTS,
    *batches.MUTANTS,
    *memory.MUTANTS,
    *sql.MUTANTS,
    *reviewed.MUTANTS,
    *found.MUTANTS,
)

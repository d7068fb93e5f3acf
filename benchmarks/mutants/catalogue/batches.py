"""Defects of batches and ids."""

from __future__ import annotations

from benchmarks.mutants.mutant import CORE, TRADING, Mutant

MUTANTS = (
    Mutant(
        "batch_hash_not_checked",
        f"{TRADING}/targets.py",
        "    if digest != batch.content_hash:\n",
        "    if not digest:\n",
        "a batch whose content is not what was hashed is traded",
    ),
    Mutant(
        "half_written_traded",
        f"{TRADING}/targets.py",
        "    if len(targets) != batch.row_count:\n",
        "    if False:\n",
        "a batch of which rows are missing is refused for its hash only",
    ),
    Mutant(
        "expired_batch_traded",
        f"{TRADING}/targets.py",
        "    if now >= batch.valid_until:\n",
        "    if False:\n",
        "yesterday's targets are traded today",
    ),
    Mutant(
        "unknown_symbol_traded",
        f"{TRADING}/targets.py",
        "    if strangers := [s for s in symbols if s not in known]:\n",
        "    if strangers := [s for s in symbols if s not in known and not s]:\n",
        "a batch with a symbol nobody knows is traded",
    ),
    Mutant(
        "oldest_batch_traded",
        f"{CORE}/intake.py",
        "    return Choice(ready[-1] if ready else None, tuple(refused), tuple(waiting))\n",
        "    return Choice(ready[0] if ready else None, tuple(refused), tuple(waiting))\n",
        "of two batches the one that was superseded is traded",
    ),
    Mutant(
        "id_not_deterministic",
        f"{TRADING}/planner.py",
        "        return content_hash([self.account, str(self.batch_id), symbol, leg, self.generation])[:ID_LENGTH]\n",
        "        from itertools import count\n"
        "        globals().setdefault('N', count())\n"
        "        return content_hash([self.account, str(self.batch_id), symbol, leg, "
        "next(globals()['N'])])[:ID_LENGTH]\n",
        "a plan made twice is sent twice",
        tests=("tests/bifrost_core/trading/test_planner.py::test_the_same_plan_has_the_same_ids",),
    ),
    Mutant(
        "legs_share_an_id",
        f"{TRADING}/planner.py",
        "        return content_hash([self.account, str(self.batch_id), symbol, leg, self.generation])[:ID_LENGTH]\n",
        "        return content_hash([self.account, str(self.batch_id), symbol, self.generation])[:ID_LENGTH]\n",
        "the two legs of a change that crosses zero are one order",
    ),
)

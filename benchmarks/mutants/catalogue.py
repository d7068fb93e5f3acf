"""The planted defects, as data: a text of a file that occurs exactly once, what stands there instead, what it breaks.

`tests` names what catches the defect where the simulation cannot: the warehouse in memory has the semantics of the SQL,
not its text, so a defect of the SQL is one that the agreement with PostgreSQL catches.
"""

from __future__ import annotations

from dataclasses import dataclass

CORE, SHELL, TRADING = "execution_daemon/core", "execution_daemon/shell", "bifrost_core/trading"
MEMORY = "execution_daemon/simulation/warehouse"
LIFECYCLE = "bifrost_core/warehouse/migrations/sql/0010_order_lifecycle.sql"
INTENTS = "bifrost_core/warehouse/migrations/sql/0014_intents.sql"
FUNCTIONS = ("tests/execution_daemon/shell/test_trading_functions.py",)
AGREEMENT = ("tests/execution_daemon/simulation/test_agreement.py",)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One defect."""

    name: str
    file: str
    old: str
    new: str
    breaks: str
    tests: tuple[str, ...] = ()


MUTANTS = (
    # -- sending ------------------------------------------------------------------------------------------------------
    Mutant(
        "send_before_commit",
        f"{SHELL}/committer.py",
        "        reasons = await keeper.store.submit(work, at)\n",
        "        from execution_daemon.core.book import Committed as C\n"
        "        await keeper.apply(C(tuple(i.ticket for i in work.intents if i.denied is None and i.parent "
        "is None), ()))\n"
        "        import asyncio\n"
        "        await asyncio.sleep(0.05)\n"
        "        reasons = await keeper.store.submit(work, at)\n",
        "orders leave before their intents are durable",
    ),
    Mutant(
        "timeout_is_reject",
        f"{SHELL}/sender.py",
        "return OrderEvent(ExecType.NO_ANSWER, self.keeper.clock.now(), text=str(error) or type(error).__name__)",
        "return OrderEvent(ExecType.REJECTED, self.keeper.clock.now(), text=str(error) or type(error).__name__)",
        "silence is read as a refusal",
    ),
    Mutant(
        "timeout_is_accept",
        f"{SHELL}/sender.py",
        "return OrderEvent(ExecType.NO_ANSWER, self.keeper.clock.now(), text=str(error) or type(error).__name__)",
        "return OrderEvent(ExecType.NEW, self.keeper.clock.now(), text=str(error) or type(error).__name__)",
        "silence is read as an acceptance",
    ),
    Mutant(
        "resend_without_proof",
        f"{SHELL}/sender.py",
        "        except (TimeoutError, OSError, BrokerUnclear) as error:\n"
        "            return OrderEvent(ExecType.NO_ANSWER",
        "        except (TimeoutError, OSError, BrokerUnclear) as error:\n"
        "            self.keeper.to_send.put_nowait(order.ticket.client_order_id)\n"
        "            await asyncio.sleep(0.2)\n"
        "            return OrderEvent(ExecType.NO_ANSWER",
        "an order is sent again although nothing proves that the first one did not arrive",
    ),
    Mutant(
        "one_look_for_absence",
        f"{SHELL}/sender.py",
        "                    await asyncio.sleep(SETTLE_SECONDS)\n                    state = await self._find(key)\n",
        "",
        "one look is taken for proof that a late request will not arrive",
    ),
    Mutant(
        "silence_is_absence",
        f"{SHELL}/sender.py",
        '                log.warning("order %s is unknown and the broker does not answer: %s", key, error)\n',
        "                await self.inbox.put(partial(self._absent, key))\n                return\n",
        "a look-up without an answer is taken for proof of absence",
        tests=("tests/execution_daemon/shell/test_faults.py",),
    ),
    Mutant(
        "kill_not_checked_at_send",
        f"{SHELL}/sender.py",
        "        if await self.keeper.store.is_order_killed(key):\n",
        "        if False:\n",
        "what was committed before a kill still leaves after it",
    ),
    Mutant(
        "kill_ignored_on_resend",
        f"{SHELL}/sender.py",
        "        may_resend = not await self.keeper.store.is_order_killed(key)\n",
        "        may_resend = True\n",
        "an absent order is called alive although a kill switch stands against it",
        tests=("tests/execution_daemon/shell/test_faults.py",),
    ),
    Mutant(
        "validity_not_checked_at_send",
        f"{SHELL}/sender.py",
        "        if self.keeper.clock.now() >= order.ticket.valid_until:\n",
        "        if False:\n",
        "an order leaves after its target's end",
    ),
    Mutant(
        "block_not_checked_at_send",
        f"{SHELL}/sender.py",
        "        if cause is not None and cause.code != BlockCode.SEND_UNPROVEN:\n",
        "        if False:\n",
        "an order leaves in a symbol that a break has halted",
        tests=("tests/execution_daemon/simulation/test_last_look.py",),
    ),
    Mutant(
        "absent_never_resent",
        f"{TRADING}/orders.py",
        "    if kind in {ExecType.ABSENT, ExecType.RELEASED} and after.status is OrdStatus.PENDING_NEW:\n",
        "    if kind in {ExecType.RELEASED} and after.status is OrdStatus.PENDING_NEW:\n",
        "an order that never arrived waits for ever",
    ),
    Mutant(
        "unknown_never_queried",
        f"{TRADING}/orders.py",
        "        yield Query(ticket.client_order_id)\n",
        "        yield from ()\n",
        "nobody asks what became of an order without an answer",
    ),
    # -- what the broker says -----------------------------------------------------------------------------------------
    Mutant(
        "fills_not_deduplicated",
        f"{TRADING}/orders.py",
        "    return bool(event.exec_id) and (event.exec_id in order.executions or event.exec_id in order.gone)\n",
        "    return False\n",
        "a repeated report counts twice, or stops the daemon",
    ),
    Mutant(
        "fill_after_terminal_ignored",
        f"{TRADING}/orders.py",
        "    if is_replay(order, event):\n        return order, ()\n    kind = kind_of(order, event)\n",
        "    if is_replay(order, event) or (order.status.is_terminal and event.last_qty):\n"
        "        return order, ()\n    kind = kind_of(order, event)\n",
        "what was executed and reported late is forgotten",
    ),
    Mutant(
        "commission_forgotten",
        f"{TRADING}/positions.py",
        "return -self.signed_qty * self.price - self.commission",
        "return -self.signed_qty * self.price",
        "cash differs by every commission",
    ),
    Mutant(
        "partial_is_full",
        f"{TRADING}/orders.py",
        "    return ExecType.FILL if order.cum_qty + event.last_qty >= order.order_qty else ExecType.PARTIAL_FILL\n",
        "    return ExecType.FILL\n",
        "an order with a partial fill is called done, and works on",
    ),
    Mutant(
        "bust_ignored",
        f"{TRADING}/orders.py",
        "        standing = {key: one for key, one in order.executions.items() if key != event.exec_ref_id}\n",
        "        standing = dict(order.executions)\n",
        "an execution that was taken back still counts",
    ),
    Mutant(
        "correction_adds",
        f"{CORE}/book.py",
        '        found.append(Booked(f"{event.exec_ref_id}:taken-back", back, event.exec_ref_id))\n',
        "        pass\n",
        "a correction is added to what it corrects",
    ),
    Mutant(
        "sale_is_purchase",
        f"{TRADING}/positions.py",
        "        return self.qty * self.side.sign\n",
        "        return self.qty\n",
        "sales add to the position",
    ),
    Mutant(
        "expiry_is_new",
        f"{CORE}/reports.py",
        "    BrokerStatus.EXPIRED: ExecType.EXPIRED,\n",
        "    BrokerStatus.EXPIRED: ExecType.NEW,\n",
        "an order that expired unheard is called working",
    ),
    Mutant(
        "new_is_done",
        f"{CORE}/reports.py",
        "    BrokerStatus.NEW: ExecType.NEW,\n",
        "    BrokerStatus.NEW: ExecType.EXPIRED,\n",
        "an order that works at the broker is called ended",
    ),
    # -- the book -----------------------------------------------------------------------------------------------------
    Mutant(
        "reservation_never_released",
        f"{TRADING}/orders.py",
        "        return self.leaves_qty * self.ticket.reference_price\n",
        "        return self.order_qty * self.ticket.reference_price\n",
        "what ended keeps its reservation, until nothing can be traded",
    ),
    Mutant(
        "exposure_ignores_unknown",
        f"{CORE}/book.py",
        "        return (order for order in self.orders.values() if not order.status.is_terminal)\n",
        "        return (\n"
        "            o for o in self.orders.values() if not o.status.is_terminal and o.status is not "
        "OrdStatus.UNKNOWN\n"
        "        )\n",
        "an order without an answer counts as none, and may be ordered again",
    ),
    Mutant(
        "exposure_ignores_working",
        f"{CORE}/book.py",
        "            _add(known, order.ticket.symbol, order.ticket.side, order.leaves_qty)\n",
        "            pass\n",
        "limits are held against the position alone",
        tests=("tests/execution_daemon/core",),
    ),
    Mutant(
        "working_orders_planned_again",
        f"{CORE}/desk.py",
        "        signed_leaves(book),\n",
        "        {},\n",
        "what works already is ordered once more by the next batch",
        tests=("tests/execution_daemon/core", "tests/execution_daemon/shell/test_faults.py"),
    ),
    Mutant(
        "restart_forgets_unanswered",
        f"{CORE}/book.py",
        "        if order.status is OrdStatus.PENDING_NEW:\n            silence",
        "        if order.status is OrdStatus.HELD:\n            silence",
        "an order whose answer the crash swallowed is never asked for",
    ),
    Mutant(
        "restart_resends",
        f"{CORE}/book.py",
        "            book, more = reported(book, order, silence)\n            effects += more\n",
        "            effects.append(Send(key))\n",
        "after a crash everything unanswered is sent again at once",
    ),
    Mutant(
        "restart_forgets_unknown",
        f"{CORE}/book.py",
        "        elif order.status is OrdStatus.UNKNOWN:\n            effects.append(Query(key))\n",
        "",
        "an unknown order is not looked up after a crash",
    ),
    Mutant(
        "breaks_do_not_block",
        f"{CORE}/book.py",
        "    return _with_blocks(_with_blocks(book, blocks, unblocks), again, ()), (*blocks, *unblocks, *again)\n",
        "    return book, ()\n",
        "a symbol that differs from the broker's books is traded on",
    ),
    Mutant(
        "blocks_never_clear",
        f"{CORE}/book.py",
        "    unblocks = tuple(Unblock(symbol, code) for symbol in healed)\n",
        "    unblocks = tuple(Unblock(symbol, code) for symbol in healed if not symbol)\n",
        "a break that is mended halts its symbol for ever",
    ),
    Mutant(
        "unproven_never_unblocked",
        f"{CORE}/book.py",
        "        unblocks=tuple(e for e in effects if isinstance(e, Unblock) and _is_resolved(changed, e)),\n",
        "        unblocks=(),\n",
        "a symbol stays blocked although every order in it has its answer",
    ),
    Mutant(
        "acted_before_recorded",
        f"{SHELL}/bookkeeper.py",
        "        for effect in effects:\n"
        "            if isinstance(effect, Record) and not await self._commit(effect):\n",
        "        for effect in effects:\n"
        "            if not isinstance(effect, Block | Unblock):\n"
        "                self.book = book\n"
        "                await self._carry_out(effect)\n"
        "        await asyncio.sleep(0.05)\n"
        "        for effect in effects:\n"
        "            if isinstance(effect, Record) and not await self._commit(effect):\n",
        "what is not durable yet is acted upon",
    ),
    Mutant(
        "held_released_too_early",
        f"{CORE}/contingencies.py",
        "            return qty if first.status is OrdStatus.FILLED else ZERO\n",
        "            return qty\n",
        "the second leg of a change that crosses zero is sent though the first was not filled",
    ),
    Mutant(
        "held_never_released",
        f"{CORE}/contingencies.py",
        "    if qty > 0:\n",
        "    if qty < 0:\n",
        "the second leg of a change that crosses zero is never sent",
    ),
    # -- reconciliation -----------------------------------------------------------------------------------------------
    Mutant(
        "reconcile_ignores_cash",
        f"{CORE}/reconcile.py",
        "        *_cash_breaks(book, snapshot),\n",
        "",
        "money that is missing is not noticed",
    ),
    Mutant(
        "reconcile_ignores_positions",
        f"{CORE}/reconcile.py",
        "        *_position_breaks(book, snapshot),\n",
        "",
        "shares that are missing are not noticed",
    ),
    Mutant(
        "reconcile_ignores_foreign_orders",
        f"{CORE}/reconcile.py",
        '            yield Break("order_foreign", key, state.symbol, "absent", state.status)\n',
        "            yield from ()\n",
        "somebody else's orders in the account are not noticed",
    ),
    Mutant(
        "reconcile_ignores_prices",
        f"{CORE}/reconcile.py",
        "        elif (held := _amounts(fill.qty, fill.price, fill.commission)) != told:\n",
        "        elif (held := _amounts(fill.qty, fill.price, fill.commission)) != told and False:\n",
        "an execution at another price is not noticed",
    ),
    Mutant(
        "catch_up_skips_fills",
        f"{CORE}/reconcile.py",
        "    heard += [Reported(f.client_order_id, event_of(f)) for f in fills]\n",
        "",
        "what the stream lost stays lost",
    ),
    Mutant(
        "catch_up_skips_ends",
        f"{CORE}/reconcile.py",
        "        if not book.orders[s.client_order_id].status.is_terminal\n    ]\n",
        "        if False\n    ]\n",
        "an order whose end was not heard works on for ever",
    ),
    Mutant(
        "adjustments_ignored",
        f"{SHELL}/reconciler.py",
        "                await self.keeper.apply(Adjusted(entry))\n",
        "                pass\n",
        "dividends, fees and transfers are missing from cash",
    ),
    Mutant(
        "adjustment_cash_not_moved",
        f"{MEMORY}/events.py",
        '    if row["cash_change"] and cash is not None:\n',
        "    if False:\n",
        "a dividend is known and its cash is not",
    ),
    Mutant(
        "trades_before_reconciled",
        f"{SHELL}/daemon.py",
        "        if found.is_clean and not self.is_ready:\n",
        "        if not self.is_ready:\n",
        "a book that differs is traded on from the start",
    ),
    # -- leading ------------------------------------------------------------------------------------------------------
    Mutant(
        "lease_not_renewed",
        f"{SHELL}/daemon.py",
        "            await store.renew_lease(self.settings.lease_seconds)\n",
        "",
        "the lease of a leader that lives runs out",
        tests=("tests/execution_daemon/shell/test_daemon.py", "tests/execution_daemon/shell/test_faults.py"),
    ),
    Mutant(
        "lost_lease_ignored",
        f"{SHELL}/store.py",
        '        if not await self._value("renew_lease", seconds=seconds):\n',
        '        if not await self._value("renew_lease", seconds=seconds) and False:\n',
        "a deposed leader does not notice until it writes",
        tests=("tests/execution_daemon/shell/test_faults.py", "tests/execution_daemon/shell/test_daemon.py"),
    ),
    Mutant(
        "stale_leader_may_send",
        f"{MEMORY}/leases.py",
        "    killed = not leads(tx, given) or is_killed(",
        "    killed = is_killed(",
        "a deposed leader sends what it had committed",
        tests=AGREEMENT,
    ),
    Mutant(
        "stale_leader_may_write",
        f"{MEMORY}/leases.py",
        "    if not leads(tx, given):\n        what",
        "    if False:\n        what",
        "two daemons write one account's book",
    ),
    Mutant(
        "epoch_not_raised",
        f"{MEMORY}/leases.py",
        '    epoch: int = lease["epoch"] + 1\n',
        '    epoch: int = max(lease["epoch"], 1)\n',
        "a leader that was deposed and came back cannot be told from the one before",
    ),
    # -- batches and ids ----------------------------------------------------------------------------------------------
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
        tests=("tests/bifrost_core/trading/test_planner.py",),
    ),
    Mutant(
        "legs_share_an_id",
        f"{TRADING}/planner.py",
        "        return content_hash([self.account, str(self.batch_id), symbol, leg, self.generation])[:ID_LENGTH]\n",
        "        return content_hash([self.account, str(self.batch_id), symbol, self.generation])[:ID_LENGTH]\n",
        "the two legs of a change that crosses zero are one order",
    ),
    # -- the SQL's semantics ------------------------------------------------------------------------------------------
    Mutant(
        "kill_not_read_in_intent",
        f"{MEMORY}/intents.py",
        '    if is_killed(tx, given["account"], intent["symbol"], intent["strategies"] or []):\n',
        "    if False:\n",
        "a kill that commits while the desk decides does not stop the intent",
    ),
    Mutant(
        "duplicate_intent_accepted",
        f"{MEMORY}/intents.py",
        '    elif tx.tables.orders.insert(intent["client_order_id"], _order(tx, given, intent)):\n',
        '    elif tx.tables.orders.put(intent["client_order_id"], _order(tx, given, intent)) is None:\n',
        "the same order is intended, and counted, twice",
        tests=AGREEMENT,
    ),
    Mutant(
        "audit_entry_missing",
        f"{MEMORY}/events.py",
        '    audit.append(tx.tables, "order_event", payload, at)\n',
        "",
        "an event leaves no trace in the chain",
    ),
    Mutant(
        "position_update_missing",
        f"{MEMORY}/events.py",
        '        move_position(tx, given["account"], order["symbol"], event, at)\n',
        "        pass\n",
        "a fill does not move the position",
    ),
    Mutant(
        "fill_replay_recorded",
        f"{MEMORY}/events.py",
        '    if any((given["broker"], fill["exec_id"]) in tx.tables.fill_ids for fill in fills):\n'
        "        return None\n",
        "",
        "an execution that is stored already stops the daemon",
        tests=AGREEMENT,
    ),
    Mutant(
        "sql_kill_not_read_in_intent",
        INTENTS,
        "        if v_engaged and trading.is_killed(p_account, r.symbol, r.strategies) then\n",
        "        if false then\n",
        "as kill_not_read_in_intent, in the SQL itself",
        tests=AGREEMENT,
    ),
    Mutant(
        "sql_reservation_unlimited",
        INTENTS,
        "        elsif r.reserved_value > 0 and v_reserved + r.reserved_value > p_reserve_limit then\n",
        "        elsif r.reserved_value > 0 and v_reserved + r.reserved_value > p_reserve_limit * 2 then\n",
        "orders that each fit are accepted although they do not fit together",
        tests=AGREEMENT,
    ),
    Mutant(
        "sql_cash_not_moved",
        LIFECYCLE,
        "        set balance = balance + e.cash_effect, reserved",
        "        set balance = balance, reserved",
        "a fill does not move cash",
        tests=AGREEMENT,
    ),
    Mutant(
        "sql_slices_counted_one_by_one",
        INTENTS,
        "                where a.parent_id = r.parent_id and a.outcome = 'accepted'), 0)) then\n",
        "                where false), 0)) then\n",
        "two slices of one commit exceed their parent",
        tests=FUNCTIONS,
    ),
    Mutant(
        "sql_duplicate_within_a_call",
        INTENTS,
        "            if r.client_order_id = any (v_repeated) then\n",
        "            if false then\n",
        "the same id twice in one commit reserves twice, or ends the daemon",
        tests=FUNCTIONS,
    ),
    Mutant(
        "sql_epoch_not_checked",
        INTENTS,
        "    perform trading.require_lease(p_account, p_holder, p_epoch);\n",
        "    null;\n",
        "a leader that was paused commits intents after another has taken over",
        tests=FUNCTIONS,
    ),
    Mutant(
        "sql_lock_not_taken_at_renewal",
        INTENTS,
        "    perform pg_try_advisory_lock(hashtextextended('bifrost lease ' || p_account, 0));\n",
        "    null;\n",
        "who leads by expiry is followed by the first that asks",
        tests=FUNCTIONS,
    ),
    # -- defects that a reader has found, planted again ----------------------------------------------------------------
    Mutant(
        "amended_while_held_is_sent",
        f"{CORE}/manual.py",
        "        contingency=old if is_held else _after_the_end_of(order),\n",
        "        contingency=_after_the_end_of(order),\n",
        "a held order that is amended no longer waits for what it waited for",
        tests=("tests/execution_daemon/core/test_manual.py",),
    ),
    Mutant(
        "replacement_outlives_a_refused_cancel",
        f"{CORE}/step.py",
        "    if isinstance(given, Reported) and given.event.kind is ExecType.CANCEL_REJECTED:\n",
        "    if False:\n",
        "what was to replace an order is sent whenever that ends",
        tests=("tests/execution_daemon/core/test_contingencies.py",),
    ),
    Mutant(
        "exits_outlive_a_busted_entry",
        f"{CORE}/contingencies.py",
        "        most = min(most, entry.cum_qty)\n",
        "        pass\n",
        "exits work on although the entry's executions were taken back",
        tests=("tests/execution_daemon/core/test_contingencies.py",),
    ),
    Mutant(
        "routine_pass_heals_what_it_left_out",
        f"{SHELL}/reconciler.py",
        "        if breaks and not settled:\n",
        "        if False:\n",
        "a pass that left a break out is recorded as clean",
        tests=("tests/execution_daemon/shell/test_faults.py",),
    ),
    Mutant(
        "healed_break_frees_the_unknown",
        f"{CORE}/book.py",
        "        if u.symbol in unknown\n",
        "        if False\n",
        "a healed break frees a symbol with an unknown order",
        tests=("tests/execution_daemon/core/test_contingencies.py",),
    ),
    Mutant(
        "flatten_beside_its_exits",
        f"{CORE}/manual.py",
        "        for order in _closing_already(book, symbol, side, desk.command_id):\n",
        "        for order in ():\n",
        "a position is closed while a stop may still close it too",
        tests=("tests/execution_daemon/core/test_manual.py",),
    ),
    Mutant(
        "cancel_overtaken_by_the_send",
        f"{SHELL}/sender.py",
        "        if order is None or order.is_cancel_wanted:\n",
        "        if order is None:\n",
        "an order leaves although its cancel was asked while it waited",
        tests=("tests/execution_daemon/shell/test_faults.py",),
    ),
    Mutant(
        "dead_man_fires_once_an_epoch",
        "execution_daemon/deadman.py",
        "            self._seen, self._unchanged, self._fired_for = lease, 0.0, None\n",
        "            self._seen, self._unchanged = lease, 0.0\n",
        "the second silence of the same leader is not acted on",
        tests=("tests/execution_daemon/test_deadman.py",),
    ),
    Mutant(
        "sql_release_of_a_newer_kill",
        "bifrost_core/warehouse/migrations/sql/0015_kill_release.sql",
        "    perform from trading.kill_switches for share;\n",
        "    null;\n",
        "releasing a kill wipes out one that was engaged meanwhile",
        tests=("tests/bifrost_core/warehouse/test_governance.py",),
    ),
    # -- defects that the simulation has found, planted again ----------------------------------------------------------
    Mutant(
        "bust_is_a_break",
        f"{CORE}/reconcile.py",
        "        standing.pop(report.exec_ref_id, None)\n",
        "",
        "an execution that was taken back is missing for ever",
    ),
    Mutant(
        "correction_busted_before_heard",
        f"{TRADING}/orders.py",
        "        return False  # what it put in place",
        "        return True  # what it put in place",
        "a correction that was busted before it was heard leaves what it replaced",
        tests=("tests/execution_daemon/core/test_reports.py",),
    ),
    Mutant(
        "filled_and_taken_back_works_on",
        f"{CORE}/reports.py",
        "    return state.status is BrokerStatus.FILLED and state.cum_qty < state.qty\n",
        "    return False\n",
        "an order whose executions were busted before they were heard never ends",
        tests=("tests/execution_daemon/core/test_reports.py",),
    ),
    Mutant(
        "absence_on_an_old_clock",
        f"{SHELL}/sender.py",
        "                    await self.keeper.clock.read()  # what is decided on an absence depends on the time\n",
        "",
        "an order is sent again after its target's end, on a time that is seconds old",
        tests=("tests/execution_daemon/shell/test_faults.py",),
    ),
    Mutant(
        "balance_of_a_moving_ledger",
        f"{SHELL}/daemon.py",
        "        if await self.broker.adjustments(at):\n",
        "        if False:\n",
        "what is booked while the account is opened counts twice, or never",
        tests=("tests/execution_daemon/shell/test_faults.py",),
    ),
    Mutant(
        "stopped_after_the_last_look",
        f"{SHELL}/sender.py",
        "            if objection or loop.time() - asked < FRESH_SECONDS:\n",
        "            if True:\n",
        "a process that was stopped before it heard the answer acts on one of long ago",
        tests=("tests/execution_daemon/simulation/test_last_look.py",),
    ),
    Mutant(
        "amendment_asks_for_itself",
        f"{SHELL}/commands.py",
        "        if key in self._amending:\n",
        "        if False:\n",
        "a partly filled leg of a bracket holds the inbox for ever",
    ),
    Mutant(
        "unblock_forgets_parents",
        f"{SHELL}/daemon.py",
        "            keeper.book = replace(keeper.book, blocked=rest)\n",
        "            keeper.book = replace(keeper.book, blocked=rest, parents={})\n",
        "freeing a symbol ends what is worked in slices, in memory only",
        tests=("tests/execution_daemon/shell/test_daemon.py",),
    ),
    Mutant(
        "opened_on_the_machines_clock",
        f"{SHELL}/daemon.py",
        "        at = await self.broker.market_time()\n",
        "        at = await self.clock.read()\n",
        "what the broker books in the first hour is left out, where the machine's clock is ahead",
    ),
    Mutant(
        "held_after_nothing",
        f"{CORE}/contingencies.py",
        "        yield Reported(key, OrderEvent(ExecType.CANCELED, at, text=why))\n        return\n",
        "        return\n",
        "an order whose first was denied is held for ever",
        tests=("tests/execution_daemon/core",),
    ),
)

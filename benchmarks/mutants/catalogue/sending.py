"""Defects of sending, looking up, and the last look."""

from __future__ import annotations

from benchmarks.mutants.mutant import SHELL, TRADING, Mutant

MUTANTS = (
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
        "parts_kept_of_what_failed",
        f"{SHELL}/postgres.py",
        "                async with self._connection.pipeline(), self._connection.transaction():\n",
        "                async with self._connection.pipeline():\n",
        "the first intents of a rebalance are kept where the rest could not be decided",
        tests=("tests/execution_daemon/shell/test_postgres.py::test_nothing_is_kept_where_the_next_cannot_be_made",),
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
        "            elif not self._is_settled(key):\n",
        "            elif False:\n",
        "one look is taken for proof that a late request will not arrive",
    ),
    Mutant(
        "a_predecessors_request_is_not_waited_for",
        f"{SHELL}/sender.py",
        "max(first + SETTLE_SECONDS, self._settled_at.get(key, 0.0))",
        "(first + SETTLE_SECONDS)",
        "what a daemon sent before it died is called absent sooner than its own silence would have been",
        tests=(
            "tests/execution_daemon/shell/test_faults.py::test_what_a_predecessor_sent_is_waited_for_as_long_as_it_would_have",
        ),
    ),
    Mutant(
        "silence_is_absence",
        f"{SHELL}/sender.py",
        '            log.warning("order %s is unknown and the broker does not answer: %s", key, error)\n',
        "            await self.inbox.put(partial(self._prove_absent, key))\n            return\n",
        "a look-up without an answer is taken for proof of absence",
        tests=("tests/execution_daemon/shell/test_faults.py::test_a_look_up_that_is_not_answered_proves_nothing",),
    ),
    Mutant(
        "kill_not_checked_at_send",
        f"{SHELL}/sender.py",
        "        if await self.keeper.store.is_order_killed(key):\n",
        "        if False:\n",
        "what was committed before a kill still leaves after it",
        invariants=("no new send after a kill commit",),
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
        ' is blocked: {grave[0]}" if grave else ""\n',
        ' is blocked: {grave[0]}" if False else ""\n',
        "an order leaves in a symbol that a break has halted",
        tests=(
            "tests/execution_daemon/simulation/test_last_look.py::test_what_is_pressed_as_an_order_leaves_stops_it",
        ),
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
    Mutant(
        "kill_ignored_on_resend",
        f"{SHELL}/sender.py",
        "        may_resend = not await self.keeper.store.is_order_killed(key)\n",
        "        may_resend = True\n",
        "an absent order is called alive although a kill switch stands against it",
        tests=(
            "tests/execution_daemon/shell/test_faults.py::test_an_absent_order_against_which_a_kill_stands_says_so",
        ),
        invariants=("no new send after a kill commit",),
    ),
    Mutant(
        "resend_not_looked_at",
        f"{SHELL}/sender.py",
        "        may_resend = not await self.keeper.store.is_order_killed(key)\n",
        "        may_resend, look = True, self._objection\n\n"
        "        async def blind(one: str) -> str:\n"
        "            return '' if one == key else await look(one)\n\n"
        "        self._objection = blind\n",
        "what the broker proved absent is sent again although a kill switch was engaged meanwhile",
        invariants=("no new send after a kill commit",),
    ),
    Mutant(
        "throttle_reserve_ignored",
        f"{TRADING}/throttle.py",
        "        kept = 0.0 if is_cancel else self._kept\n",
        "        kept = 0.0\n",
        "a burst of new orders leaves no message to cancel them with",
        tests=("tests/bifrost_core/trading/test_throttle.py::test_cancels_have_a_reserve",),
    ),
    Mutant(
        "cancels_wait_like_orders",
        f"{SHELL}/sender.py",
        "        await self._wait_for_capacity(is_cancel=True)\n",
        "        await self._wait_for_capacity()\n",
        "a cancel waits behind the orders that it is to stop",
        tests=("tests/execution_daemon/shell/test_heed.py::test_a_cancel_does_not_wait_behind_orders",),
    ),
)

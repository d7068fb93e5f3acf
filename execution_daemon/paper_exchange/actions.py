"""Corporate actions on the books: splits, cash dividends, and what an administrator enters by hand."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

from bifrost_core.trading.costs import to_cent
from execution_daemon.paper_exchange import account
from execution_daemon.paper_exchange.books import Books
from execution_daemon.paper_exchange.market import Market, in_new_shares
from execution_daemon.paper_exchange.records import Activity

ENTRIES = ("CSD", "CSW", "FEE", "INT")  # cash deposit, cash withdrawal, fee, interest


def run(books: Books, market: Market, session: date, at: datetime) -> None:
    """What takes effect on `session`, at its dawn. A replay sees what the warehouse has when its clock passes.

    Dividends come first: they are for the shares held at the last close, before a split of the same day.
    """
    for symbol, amount in market.dividends(session).items():
        _pay(books, symbol, amount, session, at)
    for symbol, factor in market.splits(session).items():
        for order in books.orders_of(symbol):
            if order.submitted_at < at:
                books.end(order, "canceled", at, "corporate action: the order was made in old shares")
        _split(books, market, symbol, factor, at)


def _pay(books: Books, symbol: str, amount: Decimal | None, session: date, at: datetime) -> None:
    held = books.position(symbol).qty
    if not held:
        return
    if amount is None:
        facts = {"symbol": symbol, "session": session.isoformat(), "qty": str(held)}
        books.log(at, "dividend_unknown", facts | {"text": "only a price factor is known, not the cash: none is paid"})
        return
    text = f"{amount} USD a share" if held > 0 else f"{amount} USD a share, owed on a short position"
    paid = Activity(f"DIV:{symbol}:{session}", "DIV", at, symbol, to_cent(held * amount), abs(held), amount, text)
    books.add_entry("dividend", paid)
    books.log(at, "dividend", {"symbol": symbol, "qty": str(held), "net_amount": str(paid.net_amount)})


def _split(books: Books, market: Market, symbol: str, factor: Fraction, at: datetime) -> None:
    """Positions in new shares, whole; what is left of a share is paid in cash."""
    before = books.position(symbol)
    if before.qty == 0:
        return
    price = market.price(symbol, at)
    if price is None:
        price = in_new_shares(before.avg_cost, factor)
    position, lieu = account.after_split(before, factor, price)
    books.put_position(position)
    ratio = 1 / factor
    text = f"{ratio.numerator}-for-{ratio.denominator} split"
    change = position.qty - before.qty
    books.add_entry("cash_in_lieu", Activity(f"SPLIT:{symbol}:{at}", "SPLIT", at, symbol, lieu, change, None, text))
    facts = {"symbol": symbol, "price_factor": str(factor), "before": str(before.qty), "after": str(position.qty)}
    facts["avg_cost"] = str(position.avg_cost)
    books.log(at, "split", {**facts, "cash_in_lieu": str(lieu)})


def enter(books: Books, kind: str, amount: Decimal, text: str, at: datetime) -> None:
    """A cash entry by hand: `kind` is one of ENTRIES, `amount` signed USD."""
    number = len(books.ledger.activities())
    books.add_entry(kind.lower(), Activity(f"{kind}:{number}", kind, at, net_amount=amount, description=text))
    books.log(at, "entry", {"activity_type": kind, "net_amount": str(amount), "description": text})

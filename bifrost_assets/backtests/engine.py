"""One backtest on backtrader.

Prices. The engine trades in shares of the total return index: a bar's prices are scaled so that its close is the
first close times the product of (1 + total_return) since. A position then needs no adjustment at a split, and a
dividend is reinvested in its stock at the ex-session's open. The scale of a session comes from that session's past
only, so a later action changes no earlier trade. Orders are planned, and commissions charged, in real shares at real
prices: `ratio` (close / scaled close) real USD per scaled USD converts, and moves only with corporate actions.

Timing. Weights of session D become market orders after D's close and fill at D+1's open, against the slippage of the
cost model. Fractions of real shares arise only from reinvested dividends.

Credit. Weights are sized at D's close, so a rise overnight may need more cash than there is; a margin account
lends it. Here the loan is free of interest; `worst_cash` says how large it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import polars as pl

from bifrost_core.trading.costs import BASIS_POINT, CostModel
from bifrost_core.trading.planner import PlanKey, plan
from bifrost_core.trading.targets import Target

CREDIT = 100.0  # times the initial cash: more than any book may need overnight
SHARE = Decimal("0.000001")
PRICE = Decimal("0.000001")
WEIGHT = Decimal("0.00000001")


@dataclass(frozen=True, slots=True)
class Result:
    """What happened: equity (session, equity, exposure, cash), trades (session, symbol, quantity, price, commission).

    Quantities are signed real shares, prices real USD with slippage in them.
    """

    equity: pl.DataFrame
    trades: pl.DataFrame


def scaled(bars: pl.DataFrame) -> pl.DataFrame:
    """`bars` (symbol, session, OHLC, volume, total_return) with OHLC in total return terms and `ratio`, by session."""
    ordered = bars.sort("symbol", "session")
    index = (1 + pl.col("total_return").fill_null(0.0)).cum_prod().over("symbol")
    ratio = pl.col("close") / (pl.col("close").first().over("symbol") * index)
    prices = ("open", "high", "low", "close")
    with_ratio = ordered.with_columns(ratio=ratio)
    return with_ratio.with_columns(pl.col(name) / pl.col("ratio") for name in prices)


def run(
    bars: pl.DataFrame,
    weights: Mapping[date, Mapping[str, float]],
    initial_cash: Decimal,
    costs: CostModel,
) -> Result:
    """Trade `weights` (session -> symbol -> fraction of equity) over `bars` (unadjusted) of the symbols."""
    import backtrader as bt

    cerebro = bt.Cerebro(stdstats=False, runonce=False)
    broker = cerebro.broker
    broker.setcash(float(initial_cash) * (1 + CREDIT))
    broker.set_checksubmit(False)
    broker.set_slippage_perc(
        float(costs.slippage_bps * BASIS_POINT), slip_open=True, slip_match=True, slip_out=True, slip_limit=True
    )
    feed, commission, trader = _classes()
    for symbol, rows in scaled(bars).partition_by("symbol", as_dict=True, maintain_order=True).items():
        data = feed(rows=rows)
        cerebro.adddata(data, name=str(symbol[0]))
        broker.addcommissioninfo(commission(costs=costs, data=data), name=str(symbol[0]))
    cerebro.addstrategy(trader, weights=weights, credit=float(initial_cash) * CREDIT)
    (done,) = cerebro.run()
    return Result(_equity_frame(done.equity_rows), _trade_frame(done.trade_rows))


def _equity_frame(rows: list[tuple[date, float, float, float]]) -> pl.DataFrame:
    kinds = {"session": pl.Date, "equity": pl.Float64, "exposure": pl.Float64, "cash": pl.Float64}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def _trade_frame(rows: list[tuple[date, str, Decimal, Decimal, Decimal]]) -> pl.DataFrame:
    money = pl.Decimal(20, 6)
    kinds: dict[str, Any] = {
        "session": pl.Date,
        "symbol": pl.String,
        "quantity": money,
        "price": money,
        "commission": money,
    }
    return pl.DataFrame(rows, schema=kinds, orient="row")


def _decimal(value: float, step: Decimal) -> Decimal:
    return Decimal(repr(float(value))).quantize(step)


def _day(stamp: float) -> date:
    """The session of a backtrader time stamp."""
    return date.fromordinal(int(stamp))


def _classes() -> tuple[type[Any], type[Any], type[Any]]:
    """backtrader's three base classes, filled in; made here because backtrader is imported late."""
    import backtrader as bt

    class Bars(bt.feed.DataBase):  # type: ignore[misc]
        """A symbol's scaled bars from a frame, with `ratio` as a further line."""

        lines: Any = ("ratio",)
        params = (("rows", None),)

        def start(self) -> None:
            super().start()
            rows = self.p.rows
            stamps = [float(d.toordinal()) for d in rows["session"]]  # backtrader's time: days since year 1
            columns = [rows[name].to_list() for name in ("open", "high", "low", "close", "volume", "ratio")]
            self._rows = zip(stamps, *columns, strict=True)

        def _load(self) -> bool:
            row = next(self._rows, None)
            if row is None:
                return False
            lines = self.lines
            for line, value in zip(
                (lines.datetime, lines.open, lines.high, lines.low, lines.close, lines.volume, lines.ratio),
                row,
                strict=True,
            ):
                line[0] = value
            lines.openinterest[0] = 0.0
            return True

    class Commission(bt.CommInfoBase):  # type: ignore[misc]
        """The shared cost model: converts to real shares and prices, asks it, answers in USD."""

        params = (
            ("costs", None),
            ("data", None),
            ("stocklike", True),
            ("commtype", bt.CommInfoBase.COMM_FIXED),
        )

        def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:  # noqa: ARG002, backtrader's
            ratio = self.p.data.ratio[0]
            return float(self.p.costs.commission(_decimal(size / ratio, SHARE), _decimal(price * ratio, PRICE)))

    class Trader(bt.Strategy):  # type: ignore[misc]
        """Each session: note the equity, plan toward the weights as the daemon would, send for the next open."""

        params = (("weights", None), ("credit", 0.0))

        def __init__(self) -> None:
            self.equity_rows: list[tuple[date, float, float, float]] = []
            self.trade_rows: list[tuple[date, str, Decimal, Decimal, Decimal]] = []

        def prenext(self) -> None:  # sessions in which some symbol is not listed yet
            self.next()

        def next(self) -> None:
            today = _day(max(d.datetime[0] for d in self.datas if len(d)))
            equity = self.broker.getvalue() - self.p.credit
            invested = sum(abs(self.getposition(d).size * d.close[0]) for d in self.datas if len(d))
            cash = self.broker.getcash() - self.p.credit
            self.equity_rows.append((today, equity, invested / equity if equity > 0 else 0.0, cash))
            wanted = self.p.weights.get(today)
            if wanted is not None:
                self._send(today, wanted, equity)

        def _send(self, today: date, wanted: Mapping[str, float], equity: float) -> None:
            traded = {d._name: d for d in self.datas if len(d) and _day(d.datetime[0]) == today}
            targets = [
                Target(name, _decimal(wanted.get(name, 0.0), WEIGHT), _decimal(d.close[0] * d.ratio[0], PRICE), {})
                for name, d in traded.items()
            ]
            held = {name: _decimal(self.getposition(d).size / d.ratio[0], SHARE) for name, d in traded.items()}
            key = PlanKey("backtest", UUID(int=today.toordinal()))
            for order in plan(key, targets, held, _decimal(equity, SHARE)):
                data = traded[order.symbol]
                send = self.buy if order.signed_qty > 0 else self.sell
                send(data=data, size=float(order.qty) * data.ratio[0], exectype=bt.Order.Market)

        def notify_order(self, order: Any) -> None:
            if order.status in (order.Margin, order.Rejected):
                raise RuntimeError(f"backtrader refused {order.data._name} on {_day(order.data.datetime[0])}")
            if order.status != order.Completed:
                return
            data, done = order.data, order.executed
            ratio = data.ratio[0]
            self.trade_rows.append((
                _day(done.dt),
                data._name,
                _decimal(done.size / ratio, SHARE),
                _decimal(done.price * ratio, PRICE),
                _decimal(done.comm, PRICE),
            ))  # fmt: skip

    return Bars, Commission, Trader

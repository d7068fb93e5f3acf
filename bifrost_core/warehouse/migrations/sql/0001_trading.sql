-- The daemon's book. order_events is the source of truth; the rest is derived and can be rebuilt.
-- event_at is the daemon's clock (the market's time in a replay), recorded_at the wall clock of the server.

create table trading.accounts (
    account      text primary key,
    broker       text not null,
    currency     text not null default 'USD',
    initial_cash numeric(18, 2) not null,
    created_at   timestamptz not null default now()
);
comment on table trading.accounts is 'One row per account at a broker; initial_cash is the balance at the first reconciliation.';

create table trading.leases (
    name        text primary key,
    holder      text not null,
    epoch       bigint not null,
    expires_at  timestamptz not null
);
comment on table trading.leases is 'One leader: every write of the daemon checks holder and epoch. Wall clock.';

create table trading.kill_switches (
    scope      text not null check (scope in ('global', 'account', 'strategy', 'symbol')),
    key        text not null,
    engaged    boolean not null,
    reason     text not null,
    actor      text not null,
    changed_at timestamptz not null default now(),
    primary key (scope, key)
);
comment on table trading.kill_switches is 'Engaged switches stop new orders in their scope; read inside the intent transaction. key is ''*'' for global.';

create table trading.limits (
    account    text not null,
    code       text not null,
    version    integer not null,
    value      numeric not null,
    unit       text not null,
    actor      text not null,
    effective_at timestamptz not null default now(),
    primary key (account, code, version)
);
comment on table trading.limits is 'Risk limits, versioned: the highest version of a code is in force. account ''*'' is the default for all.';

create table trading.batch_intake (
    batch_id    uuid primary key,
    account     text not null,
    status      text not null check (status in ('accepted', 'worked', 'quarantined')),
    reason_code text,
    detail      text,
    decided_at  timestamptz not null,
    recorded_at timestamptz not null default now()
);
comment on table trading.batch_intake is 'What the daemon did with a batch: accepted (orders are being planned), worked (all planned orders decided) or quarantined with the reason; nothing is traded from a quarantined batch.';

-- orders and order_events have no foreign keys: only the functions of revision 0002 write them, in the transaction that
-- reads the account and writes the order, and the two checks cost every durable intent a tenth of its time.
create table trading.orders (
    client_order_id text primary key,
    account         text not null,
    batch_id        uuid not null,
    symbol          text not null,
    side            text not null check (side in ('buy', 'sell')),
    order_type      text not null,
    time_in_force   text not null,
    order_qty       numeric(20, 6) not null check (order_qty > 0),
    reference_price numeric(18, 6) not null,
    ord_status      text not null,
    cum_qty         numeric(20, 6) not null default 0,
    avg_px          numeric(18, 6),
    broker_order_id text,
    reserved_value  numeric(20, 6) not null default 0,
    created_at      timestamptz not null,
    updated_at      timestamptz not null
);
create index on trading.orders (account, ord_status);
create index on trading.orders (batch_id);
comment on table trading.orders is 'One row per intent, the fold of its events. ord_status carries FIX 4.4 tag 39 names in lower snake case, and unknown.';

create table trading.order_events (
    event_seq       bigint generated always as identity primary key,
    client_order_id text not null,
    account         text not null,
    kind            text not null,
    ord_status      text not null,
    exec_id         text,
    last_qty        numeric(20, 6) not null default 0,
    last_px         numeric(18, 6),
    commission      numeric(18, 6) not null default 0,
    broker_order_id text,
    text            text,
    epoch           bigint not null,
    event_at        timestamptz not null,
    recorded_at     timestamptz not null default now()
);
create index on trading.order_events (client_order_id);
comment on table trading.order_events is 'Everything that happened to an order, append-only: the source of truth.';

create table trading.fills (
    fill_id         bigint generated always as identity primary key,
    event_seq       bigint not null unique references trading.order_events,
    broker          text not null,
    exec_id         text not null,
    client_order_id text not null references trading.orders,
    account         text not null,
    symbol          text not null,
    side            text not null check (side in ('buy', 'sell')),
    last_qty        numeric(20, 6) not null check (last_qty > 0),
    last_px         numeric(18, 6) not null check (last_px > 0),
    commission      numeric(18, 6) not null,
    session         date not null,
    event_at        timestamptz not null,
    unique (broker, exec_id)
);
create index on trading.fills (account, session);
comment on table trading.fills is 'One row per execution report with a quantity; unique on broker and execution id, so a replayed report changes nothing.';

create table trading.positions (
    account   text not null references trading.accounts,
    symbol    text not null,
    quantity  numeric(20, 6) not null,
    avg_cost  numeric(18, 6) not null,
    realized_pnl numeric(20, 6) not null default 0,
    updated_at timestamptz not null,
    primary key (account, symbol)
);
comment on table trading.positions is 'Signed quantity held and its average cost: the sum of fills.';

create table trading.cash (
    account    text primary key references trading.accounts,
    balance    numeric(20, 6) not null,
    reserved   numeric(20, 6) not null default 0,
    updated_at timestamptz not null
);
comment on table trading.cash is 'Settled balance (initial cash less net purchases and commissions) and what working and unknown orders reserve.';

create table trading.risk_decisions (
    decision_id     bigint generated always as identity primary key,
    client_order_id text not null,
    account         text not null,
    batch_id        uuid not null,
    symbol          text not null,
    side            text not null,
    order_qty       numeric(20, 6) not null,
    reference_price numeric(18, 6),
    outcome         text not null check (outcome in ('accepted', 'denied')),
    reason_code     text not null,
    limit_value     numeric,
    actual_value    numeric,
    detail          jsonb not null default '{}',
    epoch           bigint not null,
    decided_at      timestamptz not null,
    recorded_at     timestamptz not null default now()
);
create index on trading.risk_decisions (client_order_id);
create index on trading.risk_decisions (batch_id);
comment on table trading.risk_decisions is 'One row per decision: the first control that denied, with limit and actual value, or ACCEPTED.';

create table trading.reconciliations (
    reconciliation_id bigint generated always as identity primary key,
    account     text not null,
    is_clean    boolean not null,
    breaks      jsonb not null,
    orders_checked integer not null,
    fills_checked integer not null,
    epoch       bigint not null,
    event_at    timestamptz not null,
    recorded_at timestamptz not null default now()
);
comment on table trading.reconciliations is 'Each comparison of the book with the broker''s ledger; breaks is a list of {kind, key, ours, theirs}.';

create table trading.blocked_symbols (
    account    text not null,
    symbol     text not null,
    reason_code text not null,
    detail     text not null,
    blocked_at timestamptz not null,
    primary key (account, symbol)
);
comment on table trading.blocked_symbols is 'Symbols that take no new order until the cause is cleared (unknown order, break, impossible transition).';

create table trading.heartbeats (
    component  text primary key,
    holder     text not null,
    state      text not null,
    detail     jsonb not null default '{}',
    market_time timestamptz,
    beat_at    timestamptz not null default now()
);
comment on table trading.heartbeats is 'Last sign of life of each always-on part.';

-- The audit chain: entry_hash = sha256(prev_hash || seq || kind || canonical payload).
create table audit.chain (
    seq         bigint primary key,
    kind        text not null,
    payload     jsonb not null,
    prev_hash   bytea not null,
    entry_hash  bytea not null,
    event_at    timestamptz not null,
    recorded_at timestamptz not null default now()
);
comment on table audit.chain is 'Tamper-evident record of every order event, risk decision, batch decision, limit and kill switch change.';

create table audit.chain_head (
    only_row  boolean primary key default true check (only_row),
    seq       bigint not null,
    entry_hash bytea not null
);
insert into audit.chain_head (seq, entry_hash) values (0, sha256('bifrost'::bytea));

create trigger append_only before update or delete on audit.chain
    for each row execute function raw.refuse_change();
create trigger append_only_truncate before truncate on audit.chain
    for each statement execute function raw.refuse_change();
create trigger append_only before update or delete on trading.order_events
    for each row execute function raw.refuse_change();
create trigger append_only_truncate before truncate on trading.order_events
    for each statement execute function raw.refuse_change();

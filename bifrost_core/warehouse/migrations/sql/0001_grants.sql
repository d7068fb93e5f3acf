-- Least privilege. bifrost_owner owns everything but the dbt schemas, which bifrost_pipeline owns.

grant usage on schema reference, raw, staging, intermediate, marts, features, ml, signals, research, trading, audit,
    compliance, quarantine to bifrost_pipeline, bifrost_trader, bifrost_api, bifrost_reader;

grant select on all tables in schema reference, raw, features, ml, signals, research, trading, audit, compliance, quarantine
    to bifrost_pipeline, bifrost_reader, bifrost_api;

grant insert, update, delete on all tables in schema reference, features, ml, signals, research, compliance, quarantine
    to bifrost_pipeline;
grant insert on all tables in schema raw to bifrost_pipeline;
grant create on schema raw to bifrost_pipeline;
grant temporary on database :database to bifrost_pipeline;

grant select on all tables in schema reference, raw, signals, trading, audit to bifrost_trader;
grant insert on trading.accounts, trading.leases, trading.kill_switches, trading.batch_intake, trading.orders,
    trading.order_events, trading.fills, trading.positions, trading.cash, trading.risk_decisions,
    trading.reconciliations, trading.blocked_symbols, trading.heartbeats to bifrost_trader;
grant update on trading.leases, trading.kill_switches, trading.batch_intake, trading.orders, trading.positions,
    trading.cash, trading.blocked_symbols, trading.heartbeats to bifrost_trader;
grant delete on trading.blocked_symbols to bifrost_trader;
grant insert on audit.chain to bifrost_trader;
grant update on audit.chain_head to bifrost_trader;

alter default privileges for role bifrost_pipeline in schema staging, intermediate, marts
    grant select on tables to bifrost_reader, bifrost_trader, bifrost_api;
alter default privileges in schema reference, raw, features, ml, signals, research, trading, audit, compliance, quarantine
    grant select on tables to bifrost_reader, bifrost_pipeline, bifrost_api;

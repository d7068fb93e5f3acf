-- Least privilege. bifrost_owner owns everything but the dbt schemas, which bifrost_pipeline owns.
-- What is granted on databases (connect, temporary) is in bifrost_core/warehouse/databases.py.

grant usage on schema reference, raw, staging, intermediate, marts, features, ml, signals, research, trading, audit,
    compliance, quarantine to bifrost_pipeline, bifrost_trader, bifrost_api, bifrost_reader;

grant select on all tables in schema reference, raw, features, ml, signals, research, trading, audit, compliance, quarantine
    to bifrost_pipeline, bifrost_reader, bifrost_api;

grant insert, update, delete on all tables in schema reference, features, ml, signals, research, compliance, quarantine
    to bifrost_pipeline;
grant insert on all tables in schema raw to bifrost_pipeline;

grant select on all tables in schema reference, raw, signals, trading, audit to bifrost_trader;
-- bifrost_trader writes only through the functions of 0002_trading_functions.sql.

alter default privileges for role bifrost_pipeline in schema staging, intermediate, marts
    grant select on tables to bifrost_reader, bifrost_trader, bifrost_api;
alter default privileges in schema reference, raw, features, ml, signals, research, trading, audit, compliance, quarantine
    grant select on tables to bifrost_reader, bifrost_pipeline, bifrost_api;

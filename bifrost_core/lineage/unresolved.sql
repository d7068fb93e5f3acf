-- One row per fill and link that does not resolve. Facts about targets, signals and bars are looked up once per
-- target, not once per fill.
with recursive traced as (
    select f.fill_id, f.client_order_id, o.batch_id, f.symbol, b.batch_id is not null as has_batch,
        c.command_id is not null as has_command, t.contributions, b.as_of_session, b.created_at, b.dagster_run_id,
        b.code_version, t.target_weight, i.instrument_id
    from trading.fills f
    left join trading.orders o using (client_order_id)
    left join signals.target_batches b using (batch_id)
    left join trading.commands c on c.command_id = o.batch_id
    left join signals.targets t on t.batch_id = o.batch_id and t.symbol = f.symbol
    left join reference.symbols i on i.symbol = f.symbol
        and f.session >= i.valid_from and (i.valid_to is null or f.session < i.valid_to)
),
-- the order of each fill, and those that replacements replaced: each with its decision
ancestry as (
    select t.fill_id, o.client_order_id, o.after_id, o.release, o.parent_id
    from traced t join trading.orders o using (client_order_id)
    union
    select a.fill_id, o.client_order_id, o.after_id, o.release, o.parent_id
    from ancestry a join trading.orders o on a.release = 'ended' and o.client_order_id = a.after_id
),
decided as (
    select a.fill_id, a.client_order_id, 'order' as kind from ancestry a
    union
    select a.fill_id, a.parent_id, 'parent' from ancestry a
    where exists (select from trading.parent_orders p where p.parent_id = a.parent_id)
),
targets as (
    select distinct batch_id, symbol, instrument_id, contributions, as_of_session, created_at from traced where has_batch
),
wanted as (
    select t.batch_id, t.symbol, t.instrument_id, t.as_of_session, strategy.name as strategy,
        s.instrument_id is not null as has_signal, s.model_name, s.model_version, s.dagster_run_id, s.code_version
    from targets t
    cross join lateral jsonb_object_keys(t.contributions) as strategy(name)
    left join signals.signals s
        on s.session = t.as_of_session and s.strategy = strategy.name and s.instrument_id = t.instrument_id
),
predicted as (
    select w.batch_id, w.symbol, w.model_name, w.model_version, w.as_of_session, p.prediction, p.dagster_run_id,
        p.code_version, m.mlflow_run_id, m.usable_from
    from wanted w
    left join ml.predictions p
        on p.instrument_id = w.instrument_id and p.session = w.as_of_session
        and p.model_name = w.model_name and p.model_version = w.model_version
    left join ml.model_versions m on m.model_name = w.model_name and m.model_version = w.model_version
    where w.model_name is not null
),
featured as (
    select t.batch_id, t.symbol, t.as_of_session, f.instrument_id is not null as has_features, f.data_version,
        f.dagster_run_id, f.code_version
    from targets t
    left join features.daily f on f.instrument_id = t.instrument_id and f.session = t.as_of_session
    where t.contributions <> '{}'
),
read_bars as (
    select t.batch_id, t.symbol, t.as_of_session, t.created_at, bars.instrument_id, bars.symbol as bar_symbol
    from targets t
    cross join lateral (
        select t.symbol, t.instrument_id
        union
        select %(benchmark)s, reference.instrument_of(%(benchmark)s, t.as_of_session)
    ) as bars(symbol, instrument_id)
),
groundless as (
    select b.instrument_id, b.session, b.ingested_at
    from raw.daily_bars b
    where not exists (select from raw.payloads p where p.sha256 = b.payload_sha256)
),
of_targets as (
    select batch_id, symbol, 'signal' as kind, strategy || ' ' || as_of_session || ' is missing' as detail
    from wanted where not has_signal
    union all
    select batch_id, symbol, 'signal', strategy || ' ' || as_of_session || ' has no run or code version'
    from wanted where has_signal and (dagster_run_id = '' or code_version = '')
    union all
    select batch_id, symbol, 'prediction', model_name || ' ' || as_of_session || ' has none by version ' || model_version
    from predicted where prediction is null
    union all
    select batch_id, symbol, 'prediction', model_name || ' ' || as_of_session || ' has no run or code version'
    from predicted where dagster_run_id = '' or code_version = ''
    union all
    select batch_id, symbol, 'model', model_name || ' version ' || model_version || ' has no MLflow run'
    from predicted where coalesce(mlflow_run_id, '') = ''
    union all
    select batch_id, symbol, 'model', model_name || ' version ' || model_version || ' was usable only from ' || usable_from
    from predicted where usable_from > as_of_session
    union all
    select batch_id, symbol, 'features', as_of_session || ' is missing'
    from featured where not has_features
    union all
    select batch_id, symbol, 'features', as_of_session || ' has no data version, run or code version'
    from featured where has_features and (data_version = '' or dagster_run_id = '' or code_version = '')
    union all
    select r.batch_id, r.symbol, 'vintages', 'no bar of ' || r.bar_symbol || ' for ' || r.as_of_session || ' was stored'
    from read_bars r
    where not exists (
        select from raw.daily_bars b
        where b.instrument_id = r.instrument_id and b.session = r.as_of_session and b.ingested_at <= r.created_at)
    union all
    select r.batch_id, r.symbol, 'payload', 'the payload of ' || r.bar_symbol || ' ' || g.session || ' is not in raw.payloads'
    from read_bars r
    join groundless g
        on g.instrument_id = r.instrument_id and g.session <= r.as_of_session
        and g.session > r.as_of_session - %(days)s::integer and g.ingested_at <= r.created_at
)
select fill_id, client_order_id, 'order' as kind, 'the order is missing' as detail
from traced where batch_id is null
union all
select fill_id, client_order_id, 'order', 'it waited for ' || after_id || ', which is missing'
from ancestry a
where after_id is not null and not exists (select from trading.orders o where o.client_order_id = a.after_id)
union all
select fill_id, client_order_id, 'parent', 'parent ' || parent_id || ' is missing'
from ancestry a
where parent_id is not null and not exists (select from trading.parent_orders p where p.parent_id = a.parent_id)
union all
select w.fill_id, w.client_order_id, 'decision', 'no risk decision accepted the ' || w.kind
from decided w
where not exists (
    select from trading.risk_decisions d where d.client_order_id = w.client_order_id and d.outcome = 'accepted')
union all
select w.fill_id, w.client_order_id, 'command', 'command ' || (d.detail ->> 'command_id') || ' is missing'
from decided w
join trading.risk_decisions d on d.client_order_id = w.client_order_id and d.outcome = 'accepted'
where d.detail ? 'command_id'
    and not exists (select from trading.commands c where c.command_id = (d.detail ->> 'command_id')::uuid)
union all
select fill_id, client_order_id, 'command', 'neither a batch nor a command has the id ' || batch_id
from traced where batch_id is not null and not has_batch and not has_command
union all
select fill_id, client_order_id, 'target', 'batch ' || batch_id || ' has no target for ' || symbol
from traced where has_batch and target_weight is null
union all
select fill_id, client_order_id, 'target', 'batch ' || batch_id || ' has no run or code version'
from traced where has_batch and (dagster_run_id = '' or code_version = '')
union all
select t.fill_id, t.client_order_id, o.kind, o.detail
from traced t
join of_targets o using (batch_id, symbol)
order by fill_id, kind, detail

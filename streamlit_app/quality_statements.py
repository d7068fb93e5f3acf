"""SQL of the Data quality page (`$1` ... are parameters)."""

from __future__ import annotations

COUNTS = """
    select count(*) filter (where status = 'held') as held, count(*) filter (where status = 'flagged') as flagged,
        count(*) filter (where status = 'released') as released, count(*) filter (where status = 'dropped') as dropped
    from quarantine.rows
"""

ONE = """
    select r.quarantine_id, r.status, r.source, r.subject, r.session, r.reason, r.row::text as row, r.provider,
        r.payload_sha256, r.quarantined_at
    from quarantine.rows r where r.quarantine_id = $1
"""

# the row itself beside what is stored around it
NEIGHBOURS = """
    with chosen as (
        select r.*, reference.instrument_of(r.subject, r.session) as instrument_id
        from quarantine.rows r where r.quarantine_id = $1
    )
    select b.session, case when b.session = c.session then 'stored, this session' else 'stored' end as bar,
        b.open, b.high, b.low, b.close, b.volume
    from chosen c
    join raw.daily_bars_as_of() b on b.instrument_id = c.instrument_id
        and b.session between c.session - 16 and c.session + 16
    union all
    select c.session, c.status, quarantine_number.*
    from chosen c
    cross join lateral (
        select (c.row ->> 'open')::float8 as open, (c.row ->> 'high')::float8 as high, (c.row ->> 'low')::float8 as low,
            (c.row ->> 'close')::float8 as close, (c.row ->> 'volume')::float8 as volume
    ) quarantine_number
    where c.status in ('held', 'dropped')
    order by session, bar
"""

DECISIONS = """
    select d.decided_at, d.decision, d.was, r.subject, d.session, d.actor, d.because, d.quarantine_id
    from quarantine.decisions d
    join quarantine.rows r using (quarantine_id)
    order by d.decision_id desc limit 100
"""

SUITES = """
    with runs as (
        select asset_key, suite, dagster_run_id, max(checked_at) as checked_at, min(window_start) as window_start,
            max(window_end) as window_end, count(*) as expectations,
            count(*) filter (where not passed) as failed,
            string_agg(expectation, '; ' order by expectation) filter (where not passed) as what_failed
        from quarantine.check_results group by asset_key, suite, dagster_run_id
    )
    select * from runs order by checked_at desc limit 100
"""

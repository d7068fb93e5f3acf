-- The revision radar: what a provider changed after it was stored, and what would have been another way because of it.

create table research.revision_effects (
    revised_at        timestamptz not null,
    instrument_id     integer not null references reference.instruments,
    revised_sessions  integer not null,
    largest_change    double precision,
    first_session     date not null,
    last_session      date not null,
    feature_rows      integer not null,
    predictions       integer not null,
    signals           integer not null,
    targets           integer not null,
    largest_weight_change double precision not null,
    fills             integer not null,
    fill_value        numeric(20, 6) not null,
    code_version      text not null,
    dagster_run_id    text not null,
    computed_at       timestamptz not null,
    primary key (revised_at, instrument_id)
);
comment on table research.revision_effects is 'One row per revision of market data (what was stored at one time) and instrument that it touched: how many of its sessions were revised and the largest relative change of a close (null where only actions were), and, with the corrected data, how many rows of features, predictions, signals and targets between first_session and last_session would have been other ones, by how much a target weight at most, and which fills followed from such targets.';
grant insert, update, delete on research.revision_effects to bifrost_pipeline;

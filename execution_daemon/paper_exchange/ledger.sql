-- The exchange's own book. Money and quantities are decimal text, times ISO 8601 UTC with microseconds (they sort).
create table if not exists meta (
    key   text primary key,
    value text not null
) strict;
create table if not exists orders (
    seq              integer primary key autoincrement,
    order_id         text not null unique,
    client_order_id  text not null unique,
    symbol           text not null,
    side             text not null,
    qty              text not null,
    order_type       text not null,
    time_in_force    text not null,
    limit_price      text,
    stop_price       text,
    trail_offset     text,
    trail_percent    text,
    limit_offset     text,
    post_only        integer not null,
    reduce_only      integer not null,
    status           text not null,
    filled_qty       text not null,
    filled_value     text not null,
    is_triggered     integer not null,
    high_water       text,
    active_limit     text,
    queue_ahead      text,
    text             text not null,
    submitted_at     text not null,
    updated_at       text not null
) strict;
create index if not exists orders_open on orders (status) where status in ('new', 'partially_filled');
create index if not exists orders_by_time on orders (submitted_at);
create table if not exists executions (
    seq         integer primary key autoincrement,
    exec_id     text not null unique,
    order_id    text not null references orders (order_id),
    symbol      text not null,
    side        text not null,
    session     text not null,
    qty         text not null,
    price       text not null,
    commission  text not null,
    cum_qty     text not null,
    at          text not null,
    kind        text not null,
    ref_exec_id text,
    is_live     integer not null
) strict;
create index if not exists executions_of_session on executions (symbol, session);
create index if not exists executions_of_order on executions (order_id);
create table if not exists positions (
    symbol   text primary key,
    qty      text not null,
    avg_cost text not null
) strict;
create table if not exists activities (
    seq              integer primary key autoincrement,
    activity_id      text not null unique,
    activity_type    text not null,
    at               text not null,
    symbol           text not null,
    net_amount       text not null,
    qty              text,
    per_share_amount text,
    description      text not null,
    exec_id          text references executions (exec_id)
) strict;
create index if not exists activities_by_type on activities (activity_type, seq);
create index if not exists activities_by_time on activities (at);
create table if not exists cash_movements (
    seq     integer primary key autoincrement,
    at      text not null,
    kind    text not null,
    ref     text not null,
    amount  text not null,
    balance text not null
) strict;
create table if not exists assets (
    symbol              text primary key,
    is_halted           integer not null,
    is_shortable        integer,
    is_easy_to_borrow   integer,
    is_fractionable     integer,
    is_short_restricted integer,
    available_to_short  text
) strict;
create table if not exists quotes (
    symbol    text not null,
    at        text not null,
    bid       text not null,
    bid_size  text not null,
    ask       text not null,
    ask_size  text not null,
    last      text,
    last_size text,
    primary key (symbol, at)
) strict;
-- Everything that changed the book, in order; trade updates are its rows that have a message.
create table if not exists events (
    seq         integer primary key autoincrement,
    at          text not null,
    recorded_at text not null,
    kind        text not null,
    payload     text not null
) strict;

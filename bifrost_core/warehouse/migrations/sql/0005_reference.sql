-- Exchanges, dated symbols, listings, universe membership without overlaps, and a record of every change by hand.

-- Exclusion constraints need GiST operators for every column. Ranges have them in every PostgreSQL, plain integers and
-- text only with an extension, so a single value is written as the range that holds it alone.
create type reference.text_range as range (subtype = text, collation = "C");

create table reference.exchanges (
    mic      text primary key check (mic ~ '^[A-Z0-9]{4}$'),
    name     text not null,
    timezone text not null,
    country  text not null check (length(country) = 2),
    currency text not null check (length(currency) = 3)
);
comment on table reference.exchanges is 'One row per exchange whose sessions are known: ISO 10383 market identifier and name, ISO 3166 country, ISO 4217 currency of most of its listings.';
insert into reference.exchanges (mic, name, timezone, country, currency) values
    ('XNYS', 'New York Stock Exchange', 'America/New_York', 'US', 'USD'),
    ('XNAS', 'Nasdaq', 'America/New_York', 'US', 'USD'),
    ('ARCX', 'NYSE Arca', 'America/New_York', 'US', 'USD'),
    ('BATS', 'Cboe BZX U.S. Equities Exchange', 'America/New_York', 'US', 'USD'),
    ('XASE', 'NYSE American', 'America/New_York', 'US', 'USD'),
    ('XTSE', 'Toronto Stock Exchange', 'America/Toronto', 'CA', 'CAD'),
    ('BVMF', 'B3 - Brasil Bolsa Balcao', 'America/Sao_Paulo', 'BR', 'BRL'),
    ('XMEX', 'Bolsa Mexicana de Valores', 'America/Mexico_City', 'MX', 'MXN'),
    ('XLON', 'London Stock Exchange', 'Europe/London', 'GB', 'GBP'),
    ('XDUB', 'Euronext Dublin', 'Europe/Dublin', 'IE', 'EUR'),
    ('XETR', 'Xetra', 'Europe/Berlin', 'DE', 'EUR'),
    ('XFRA', 'Frankfurt Stock Exchange', 'Europe/Berlin', 'DE', 'EUR'),
    ('XPAR', 'Euronext Paris', 'Europe/Paris', 'FR', 'EUR'),
    ('XAMS', 'Euronext Amsterdam', 'Europe/Amsterdam', 'NL', 'EUR'),
    ('XBRU', 'Euronext Brussels', 'Europe/Brussels', 'BE', 'EUR'),
    ('XLIS', 'Euronext Lisbon', 'Europe/Lisbon', 'PT', 'EUR'),
    ('XMIL', 'Borsa Italiana', 'Europe/Rome', 'IT', 'EUR'),
    ('XMAD', 'Bolsa de Madrid', 'Europe/Madrid', 'ES', 'EUR'),
    ('XSWX', 'SIX Swiss Exchange', 'Europe/Zurich', 'CH', 'CHF'),
    ('XWBO', 'Wiener Boerse', 'Europe/Vienna', 'AT', 'EUR'),
    ('XSTO', 'Nasdaq Stockholm', 'Europe/Stockholm', 'SE', 'SEK'),
    ('XCSE', 'Nasdaq Copenhagen', 'Europe/Copenhagen', 'DK', 'DKK'),
    ('XHEL', 'Nasdaq Helsinki', 'Europe/Helsinki', 'FI', 'EUR'),
    ('XOSL', 'Oslo Bors', 'Europe/Oslo', 'NO', 'NOK'),
    ('XWAR', 'Warsaw Stock Exchange', 'Europe/Warsaw', 'PL', 'PLN'),
    ('XIST', 'Borsa Istanbul', 'Europe/Istanbul', 'TR', 'TRY'),
    ('XJSE', 'Johannesburg Stock Exchange', 'Africa/Johannesburg', 'ZA', 'ZAR'),
    ('XBOM', 'BSE (Bombay)', 'Asia/Kolkata', 'IN', 'INR'),
    ('XTKS', 'Tokyo Stock Exchange', 'Asia/Tokyo', 'JP', 'JPY'),
    ('XHKG', 'Hong Kong Exchanges and Clearing', 'Asia/Hong_Kong', 'HK', 'HKD'),
    ('XSHG', 'Shanghai Stock Exchange', 'Asia/Shanghai', 'CN', 'CNY'),
    ('XKRX', 'Korea Exchange', 'Asia/Seoul', 'KR', 'KRW'),
    ('XTAI', 'Taiwan Stock Exchange', 'Asia/Taipei', 'TW', 'TWD'),
    ('XSES', 'Singapore Exchange', 'Asia/Singapore', 'SG', 'SGD'),
    ('XASX', 'Australian Securities Exchange', 'Australia/Sydney', 'AU', 'AUD'),
    ('XNZE', 'New Zealand Exchange', 'Pacific/Auckland', 'NZ', 'NZD');

alter table reference.instruments
    add column listed_from date,
    add column listed_to date,
    add constraint instruments_listed_check check (listed_to >= listed_from),
    add constraint instruments_exchange_fkey foreign key (exchange_mic) references reference.exchanges,
    drop constraint instruments_symbol_key,
    -- checked after each statement, so that symbols can change hands in one
    add constraint one_listed_instrument_a_symbol exclude using btree (symbol with =) where (listed_to is null)
        deferrable initially immediate;
comment on table reference.instruments is 'One row per instrument; instrument_id never changes. symbol is its alias now, or its last one: unique among the instruments still listed. Dated aliases are in reference.symbols.';
comment on column reference.instruments.listed_from is 'First session with trading, where a provider says so.';
comment on column reference.instruments.listed_to is 'Last session with trading; null while it is listed.';

create table reference.symbols (
    symbol        text not null check (symbol = upper(symbol) and symbol <> ''),
    exchange_mic  text not null references reference.exchanges,
    instrument_id integer not null references reference.instruments,
    valid_from    date not null,
    valid_to      date,
    primary key (symbol, valid_from),
    check (valid_to > valid_from),
    constraint one_symbol_one_instrument exclude using gist (
        reference.text_range(symbol, symbol, '[]') with =, daterange(valid_from, valid_to) with &&),
    constraint one_instrument_one_symbol exclude using gist (
        int4range(instrument_id, instrument_id, '[]') with =, daterange(valid_from, valid_to) with &&)
);
create index on reference.symbols (instrument_id, valid_from);
comment on table reference.symbols is 'One row per symbol, instrument and span of sessions: what a symbol meant when. valid_to is exclusive, null is open. The first alias of an instrument reaches back to 1900, or to the end of the symbol''s last holder.';

-- An instrument never exists without an alias.
create function reference.name_instrument() returns trigger language plpgsql as $$
begin
    insert into reference.symbols (symbol, exchange_mic, instrument_id, valid_from, valid_to)
    select new.symbol, new.exchange_mic, new.instrument_id, coalesce(max(s.valid_to), date '1900-01-01'), new.listed_to + 1
    from reference.symbols s
    where s.symbol = new.symbol and (new.listed_to is null or s.valid_to <= new.listed_to);
    return null;
end $$;
comment on function reference.name_instrument is 'Opens the first alias of a new instrument.';
create trigger first_alias after insert on reference.instruments
    for each row execute function reference.name_instrument();
insert into reference.symbols (symbol, exchange_mic, instrument_id, valid_from)
select symbol, exchange_mic, instrument_id, date '1900-01-01' from reference.instruments;

create function reference.instrument_of(symbol text, session date) returns integer
    language sql stable parallel safe
as $$
    select s.instrument_id
    from reference.symbols s
    where s.symbol = $1 and $2 >= s.valid_from and ($2 < s.valid_to or s.valid_to is null)
$$;
comment on function reference.instrument_of is 'The instrument that a symbol meant in a session; null where it meant none.';

create function reference.symbol_of(instrument_id integer, session date) returns text
    language sql stable parallel safe
as $$
    select s.symbol
    from reference.symbols s
    where s.instrument_id = $1 and $2 >= s.valid_from and ($2 < s.valid_to or s.valid_to is null)
$$;
comment on function reference.symbol_of is 'The symbol that an instrument had in a session; null where it was not listed.';

create function reference.meant_by(symbols text[], by_session date) returns table (symbol text, instrument_id integer)
    language sql stable parallel safe
as $$
    select distinct on (s.symbol) s.symbol, s.instrument_id
    from reference.symbols s
    where s.symbol = any($1)
    order by s.symbol, s.valid_from > $2, abs(s.valid_from - $2)
$$;
comment on function reference.meant_by is 'The instrument behind each symbol: the last one that had it by a session, also where that has another symbol since, else the first one after it.';

create table reference.universes (
    universe    text primary key,
    file_sha256 text not null references raw.payloads,
    imported_at timestamptz not null default now()
);
comment on table reference.universes is 'One row per universe whose members come from an imported file; the members of any other follow the settings.';

alter table reference.universe_members add constraint one_membership_at_a_time exclude using gist (
    reference.text_range(universe, universe, '[]') with =, int4range(instrument_id, instrument_id, '[]') with =,
    daterange(valid_from, valid_to) with &&);

-- One row per membership and listing, for joins over many sessions; universe_as_of is the same for one.
create view reference.universe_periods as
select m.universe, m.instrument_id, m.valid_from, least(m.valid_to, i.listed_to + 1) as valid_to
from reference.universe_members m
join reference.instruments i using (instrument_id)
where i.listed_to is null or m.valid_from <= i.listed_to;
comment on view reference.universe_periods is 'When each instrument was in a universe and listed: a membership ends with the listing. valid_to is exclusive, null is open.';

create function reference.universe_as_of(universe text, session date) returns table (instrument_id integer, symbol text)
    language sql stable parallel safe
as $$
    select p.instrument_id, s.symbol
    from reference.universe_periods p
    join reference.symbols s on s.instrument_id = p.instrument_id
        and $2 >= s.valid_from and ($2 < s.valid_to or s.valid_to is null)
    where p.universe = $1 and $2 >= p.valid_from and ($2 < p.valid_to or p.valid_to is null)
$$;
comment on function reference.universe_as_of is 'The instruments that a universe held in a session, under the symbols of that session: those delisted since are among them, later ones are not.';

alter table reference.restricted_list
    add constraint restricted_list_check check (valid_to > valid_from),
    add constraint one_restriction_at_a_time exclude using gist (
        int4range(instrument_id, instrument_id, '[]') with =, daterange(valid_from, valid_to) with &&);

create function reference.is_restricted(instrument_id integer, session date) returns boolean
    language sql stable parallel safe
as $$
    select exists (
        select from reference.restricted_list r
        where r.instrument_id = $1 and $2 >= r.valid_from and ($2 < r.valid_to or r.valid_to is null)
    )
$$;
comment on function reference.is_restricted is 'Whether an instrument is on the restricted list in a session.';

create table reference.changes (
    change_id     bigint generated always as identity primary key,
    changed_at    timestamptz not null default now(),
    actor         text not null check (actor <> ''),
    action        text not null check (action in (
        'register', 'rename', 'delist', 'undo rename', 'undo delist', 'restrict', 'unrestrict', 'import universe',
        'reset universe')),
    instrument_id integer references reference.instruments,
    subject       text not null,
    before        jsonb,
    after         jsonb
);
create index on reference.changes (instrument_id, change_id);
comment on table reference.changes is 'One row per change of reference data by a person or on a provider''s word: who, when, what, and the rows before and after. Append-only.';
create trigger append_only before update or delete on reference.changes
    for each row execute function raw.refuse_change();
create trigger append_only_truncate before truncate on reference.changes
    for each statement execute function raw.refuse_change();

grant insert, update, delete on reference.symbols, reference.universes to bifrost_pipeline;
grant insert on reference.changes to bifrost_pipeline;
do $$
begin
    if current_setting('server_version_num')::integer >= 170000 then
        execute 'grant maintain on reference.symbols, reference.universes to bifrost_pipeline';
    end if;
end $$;

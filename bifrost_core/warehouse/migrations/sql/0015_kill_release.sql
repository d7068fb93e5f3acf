-- A switch that is engaged anew while the release of its last engagement is decided on: the release looks again.

create or replace function trading.lock_changes()
returns void language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('trading.change_proposals', 0));
    perform from trading.kill_switches for share;
end $$;
comment on function trading.lock_changes is 'Changes happen one after the other, and no kill switch moves in between: each is held against what is really in force.';

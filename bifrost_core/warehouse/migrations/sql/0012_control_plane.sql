-- Scoped tokens and idempotent commands.
select 1;

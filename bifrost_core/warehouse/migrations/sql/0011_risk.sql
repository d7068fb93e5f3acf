-- Limits that take two people to loosen, and what the risk controls read.
select 1;

-- Order terms, groups, parents, corrections and adjustments.
select 1;

-- Sectors are told by a person, and on record as any other change of reference data.

alter table reference.changes drop constraint changes_action_check, add constraint changes_action_check check (action in (
    'register', 'rename', 'delist', 'undo rename', 'undo delist', 'restrict', 'unrestrict', 'import universe',
    'reset universe', 'set sectors'));

"""One PostgreSQL: the embedded server, connections by role, migrations, bulk reads and writes."""

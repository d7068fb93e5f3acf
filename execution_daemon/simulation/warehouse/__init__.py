"""The warehouse in memory: every statement of `shell/sql` with the semantics of the migrations' functions.

`tests/execution_daemon/simulation/test_agreement.py` runs the same statements here and on PostgreSQL and compares.
"""

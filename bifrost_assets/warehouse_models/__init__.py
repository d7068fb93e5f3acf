"""The dbt models as assets: staging and marts."""

"""The database of resources and jobs: tables, migrations, queries that return model values."""

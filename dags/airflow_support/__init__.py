"""What DAG files need of Airflow, so that they hold names, order and schedule alone; no DAG is in here (see .airflowignore)."""

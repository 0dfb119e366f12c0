"""What tasks need of Airflow: connections, the day of a run, errors in the log. So DAG files hold names, order and schedule alone.

No DAG is in here, so Airflow does not look for one (see .airflowignore).
"""

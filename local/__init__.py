"""An Airflow that lives in the checkout: what `make run` and `make ui` start, as `python -m local.run_night`."""

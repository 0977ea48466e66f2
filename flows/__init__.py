"""Order, retries and resources: the stages of a run, as plain functions, Dask tasks and Prefect flows."""

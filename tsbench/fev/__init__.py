"""fev and tsbench: a task file of fev as data sets and tasks, and our forecasts scored by fev itself."""

"""Data sets of the tasks in a task file of fev."""

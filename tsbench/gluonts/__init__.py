"""GluonTS and tsbench: estimators and predictors as models, data sets in and out."""

import warnings

# GluonTS recommends other JSON packages whenever it is imported, and indexes lags in a way that torch will
# read otherwise one day: neither is for the person at the terminal.
for _message in ("Using `json`-module", "Using a non-tuple sequence"):
    warnings.filterwarnings("ignore", message=_message, category=UserWarning)

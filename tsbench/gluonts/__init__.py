"""GluonTS and tsbench: estimators and predictors as models, data sets in and out."""

import warnings

# GluonTS recommends other JSON packages whenever it is imported; no number depends on them.
warnings.filterwarnings("ignore", message="Using `json`-module", category=UserWarning)

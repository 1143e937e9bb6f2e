"""GluonTS and tsbench: estimators and predictors as models, data sets in and out."""

"""Calibrated, explainable forecasts of recorded incidents per place and period."""

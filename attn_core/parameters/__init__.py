"""Counting parameters: one table a model, rows and sums, checked against the model built without memory."""

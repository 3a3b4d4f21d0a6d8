"""The local twin: a model of this site that runs beside it, corrected by what is measured.

int8 → forecast → linear (analysis) → fleet → twins        predictor, golden: the same forecast for others
"""

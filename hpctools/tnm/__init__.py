"""Tool-Narayanaswamy-Moynihan model of the glass transition."""

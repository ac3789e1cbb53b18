"""The charts of the page, by plotly."""

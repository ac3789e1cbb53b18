"""The interactive charts of the page, drawn by plotly.js."""

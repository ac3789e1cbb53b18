"""The report of a sweep: page, Markdown, charts, tables and sentences."""

"""The pictures beside a report, drawn by matplotlib."""

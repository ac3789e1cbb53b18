"""The pictures beside a report, by matplotlib."""

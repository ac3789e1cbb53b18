"""What a report shows, as plain objects: a sweep read from its directory, its configurations, their statistics."""

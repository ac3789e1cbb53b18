"""What a report is made of: a sweep as read from its directory, its configurations and their statistics."""

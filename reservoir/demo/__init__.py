"""What ``reservoir demo`` runs on: a list of invented people, with numbers from the range that is reserved for fiction."""

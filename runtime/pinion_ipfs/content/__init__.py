"""CIDs, DAGs, CAR streams and their verification: pure content addressing."""

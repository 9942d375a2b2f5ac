"""The data of calls: records, questions to a person, and handles of secrets and binary data."""

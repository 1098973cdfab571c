"""The test suite; `statistics` holds the assertions about randomness, `strategies` the drawn cases."""

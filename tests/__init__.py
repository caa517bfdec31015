"""The tests, a folder a room of mlm/."""

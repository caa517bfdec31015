"""The tests, a folder a room of mlm/.

Covered elsewhere:
    __main__ by commands/test_main
    errors by test_structure, checkpoint/test_folder
"""

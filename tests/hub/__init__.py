"""Tests of mlm/hub.

Covered elsewhere:
    card_metadata by training/test_model_card
    commit, connection, names, pull, push, repository by test_hub
    inspection, snapshot by test_hostile_repositories
    local by test_local_hub
"""
